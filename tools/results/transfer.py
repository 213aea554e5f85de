"""Measure how much trained weights help on few pictures: python -m tools.results.transfer MODEL.

A network of the package is trained from scratch and fine-tuned on the embedded digits and on three
drawn alphabets, with several numbers of pictures a class and several seeds. A seed also selects the
pictures. The accuracies are kept in ``transfer.json``.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import figure
from PIL import Image

import zoo
from tools.results import alphabets, figures
from zoo import cli, significance
from zoo.data.splits import Split
from zoo.errors import unknown
from zoo.runs import Run
from zoo.util import atomic, backend
from zoo.util.environment import machine, versions
from zoo.weights import released

FILE = Path(__file__).parent / "transfer.json"
FIGURE = Path(__file__).parent.parent.parent / "docs" / "figures" / "transfer.svg"
COUNTS = (10, 30, 100)  # pictures a class
WAYS = {"from scratch": None, "fine-tuned": "mnist"}
_SEEDS = 5
_TEST_COUNT = 50  # pictures a class


def main(argv: Sequence[str]) -> None:
    """Train all, keep the accuracies, print them and draw the figure.

    Raises:
        InputError: the package does not contain the network trained.
    """
    parser = cli.Parser("tools.results.transfer", "Measure fine-tuning.", example="compact-10k")
    parser.add_argument("model", help="a network of the package")
    model = parser.parse_args(argv).model
    if model not in released():
        raise unknown("trained network", model, released())
    backend.start_tensorflow()
    facts = {"model": model, "machine": machine(), "versions": versions()}
    found = facts | {"accuracies": measure(model)}
    atomic.write_json(FILE, found)
    figures.save(draw(found), FIGURE)
    print(table(found))


def measure(model: str) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Return the test accuracies of all seeds, for each set, way and number of pictures."""
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    sets = ("digits", *alphabets.ALPHABETS)
    for name, count, seed in itertools.product(sets, COUNTS, range(_SEEDS)):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "pictures"
            write(folder, name, count, np.random.default_rng([seed, count]))
            pictures = zoo.load_data(
                str(folder), image_size=(28, 28), channels=1, ink="on", data_dir=scratch
            )
            for way, weights in WAYS.items():
                run = Run(Path(scratch) / way)
                zoo.train_model(model, pictures, out=str(run.folder), weights=weights, seed=seed)
                of_way = found.setdefault(name, {}).setdefault(way, {})
                accuracy = run.read_result()["test_accuracy"]
                of_way.setdefault(str(count), []).append(accuracy)
    return found


def write(folder: Path, name: str, count: int, random: np.random.Generator) -> None:
    """Write a folder with ``count`` training pictures a class, and test pictures."""
    for split, number in (("train", count), ("test", _TEST_COUNT)):
        for class_name, pictures in _pictures(name, split, random).items():
            target = folder / split / class_name
            target.mkdir(parents=True)
            for at, picture in enumerate(itertools.islice(pictures, number)):
                picture.save(target / f"{at}.png")


def table(found: dict[str, Any]) -> str:
    """Return the mean accuracies of a study as Markdown."""
    rows = ["| pictures | a class | seeds | from scratch | fine-tuned |", "|---|---|---|---|---|"]
    for name, ways in found["accuracies"].items():
        scratch, tuned = (ways[way] for way in WAYS)
        for count, each in scratch.items():
            spreads = [significance.spread(values, 1) for values in (each, tuned[count])]
            rows.append(f"| {name} | {count} | {len(each)} | {' | '.join(spreads)} |")
    where = f"{found['machine']['processor']}, TensorFlow {found['versions']['tensorflow']}"
    return "\n".join([*rows, "", f"(`{found['model']}`; {where})"])


def draw(found: dict[str, Any]) -> figure.Figure:
    """Draw the accuracies of each set against the number of pictures."""
    picture = figure.Figure(figsize=(10, 3), layout="constrained")
    places = picture.subplots(1, len(found["accuracies"]), sharey=True)
    for axes, (name, ways) in zip(places, found["accuracies"].items(), strict=True):
        for way, marker in zip(WAYS, "os", strict=True):
            each = {
                int(count): [100 * accuracy for accuracy in accuracies]
                for count, accuracies in ways[way].items()
            }
            means = [statistics.mean(values) for values in each.values()]
            spread = [significance.deviation(values) for values in each.values()]
            axes.errorbar([*each], means, spread, marker=marker, capsize=3, label=way)
        axes.set(title=name, xscale="log", xlabel="pictures a class")
        axes.set_xticks([*each], map(str, each))
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    places[0].set_ylabel("test accuracy, %")
    places[-1].legend(loc="lower right")
    return picture


def _pictures(
    name: str, split: str, random: np.random.Generator
) -> dict[str, Iterator[Image.Image]]:
    """Return the pictures of each class, without end or as many as there are."""
    if name != "digits":
        return {letter: _drawn(letter, random) for letter in alphabets.ALPHABETS[name]}
    images = getattr(zoo.load_data("digits"), split)
    return {str(label): _of_class(images, label, random) for label in range(10)}


def _drawn(letter: str, random: np.random.Generator) -> Iterator[Image.Image]:
    while True:
        yield alphabets.draw(letter, random)


def _of_class(split: Split, label: int, random: np.random.Generator) -> Iterator[Image.Image]:
    for at in random.permutation(np.flatnonzero(split.labels == label)):
        yield Image.fromarray(255 - split.images[at, :, :, 0])


if __name__ == "__main__":
    cli.run("tools.results.transfer", main)
