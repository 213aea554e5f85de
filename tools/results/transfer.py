"""Measure how much trained weights help on few pictures: python -m tools.results.transfer MODEL.

A network of the package is trained from scratch and fine-tuned, on the embedded digits and on three
drawn alphabets, with several numbers of pictures a class and several seeds. A seed also selects the
pictures. The accuracies are kept in ``transfer.json`` after each pair of trainings, so that a study
that was stopped goes on. ``tools.results`` writes its table and figure.
"""

from __future__ import annotations

import itertools
import json
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import figure
from PIL import Image

import zoo
from tools.results import alphabets
from zoo import cli, significance
from zoo.data.splits import Split
from zoo.errors import InputError, unknown
from zoo.runs import Run
from zoo.util import atomic, backend
from zoo.util.environment import machine
from zoo.weights import released

FILE = Path(__file__).parent / "transfer.json"
COUNTS = (10, 30, 100)  # pictures a class
WAYS = {"from scratch": None, "fine-tuned": "mnist"}
_SEEDS = 5
_TEST_COUNT = 50  # pictures a class


def main(argv: Sequence[str]) -> None:
    """Train all that is missing, and keep the accuracies.

    Raises:
        InputError: the package does not contain the network trained, or the accuracies that are
            kept are those of another one, or of other weights.
    """
    parser = cli.Parser("tools.results.transfer", "Measure fine-tuning.", example="compact-10k")
    parser.add_argument("model", help="a network of the package")
    model = parser.parse_args(argv).model
    if model not in released():
        raise unknown("trained network", model, released())
    backend.start_tensorflow()
    new = {"model": model, "weights": released()[model]["sha256"]}
    found = kept() or new | {"processors": [], "accuracies": {}}
    if {key: found[key] for key in new} != new:
        raise InputError(
            f"{FILE.name} is of {found['model']} with the weights {found['weights'][:8]}; remove "
            f"it to measure {model} with {new['weights'][:8]}"
        )
    for name, count, seed, accuracies in measure(model, found["accuracies"]):
        found["processors"] = sorted({*found["processors"], machine()["processor"]})
        atomic.write_json(FILE, found)
        shown = ", ".join(f"{way} {100 * each:.1f} %" for way, each in accuracies.items())
        print(f"{name}, {count} a class, seed {seed}: {shown}", flush=True)


def kept() -> dict[str, Any] | None:
    """Return the accuracies that are kept, None if there are none."""
    return json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else None


def measure(
    model: str, found: dict[str, dict[str, dict[str, list[float]]]]
) -> Iterator[tuple[str, int, int, dict[str, float]]]:
    """Train what is missing; yield the set, the pictures a class, the seed, and the accuracies.

    Args:
        model: a network of the package.
        found: the test accuracies of all seeds, for each set, way and number of pictures; those of
            each pair of trainings are added.
    """
    sets = ("digits", *alphabets.ALPHABETS)
    for seed, name, count in itertools.product(range(_SEEDS), sets, COUNTS):
        ways = found.setdefault(name, {way: {} for way in WAYS})
        if all(len(ways[way].get(str(count), [])) > seed for way in WAYS):
            continue
        accuracies = {}
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "pictures"
            write(folder, name, count, np.random.default_rng([seed, count]))
            pictures = zoo.load_data(
                str(folder), image_size=(28, 28), channels=1, ink="on", data_dir=scratch
            )
            for way, weights in WAYS.items():
                run = Run(Path(scratch) / way)
                zoo.train_model(model, pictures, out=str(run.folder), weights=weights, seed=seed)
                accuracies[way] = run.read_result()["test_accuracy"]
        for way, accuracy in accuracies.items():
            ways[way].setdefault(str(count), []).append(accuracy)
        yield name, count, seed, accuracies


def write(folder: Path, name: str, count: int, random: np.random.Generator) -> None:
    """Write a folder with ``count`` training pictures a class, and test pictures."""
    for split, number in (("train", count), ("test", _TEST_COUNT)):
        for class_name, pictures in _pictures(name, split, random).items():
            target = folder / split / class_name
            target.mkdir(parents=True)
            for at, picture in enumerate(itertools.islice(pictures, number)):
                picture.save(target / f"{at}.png")


def table(found: dict[str, Any]) -> str:
    """Return the mean accuracies of a study as Markdown, and which weights were fine-tuned."""
    rows = ["| pictures | a class | seeds | from scratch | fine-tuned |", "|---|---|---|---|---|"]
    for name, ways in found["accuracies"].items():
        scratch, tuned = (ways[way] for way in WAYS)
        for count, each in scratch.items():
            spreads = [significance.spread(values, 1) for values in (each, tuned[count])]
            rows.append(f"| {name} | {count} | {len(each)} | {' | '.join(spreads)} |")
    model, processors = found["model"], ", ".join(found["processors"])
    is_current = found["weights"] == released()[model]["sha256"]
    release = "" if is_current else ", fine-tuned from the weights of an earlier release"
    return "\n".join([*rows, "", f"(`{model}`{release}; {processors})"])


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
