"""``python -m zoo.evaluate RUN``: score a network on a split, or on corrupted images."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo import cli, data
from zoo.data import image_folder, seen
from zoo.data.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from zoo.data.splits import Split, stratified
from zoo.errors import InputError
from zoo.inference import predict_fn
from zoo.metrics import (
    Metrics,
    PredictFn,
    calibration_error,
    class_counts,
    evaluate,
    wilson_interval,
)
from zoo.runs import Run, find, load_data, load_model, plots
from zoo.util import atomic, backend
from zoo.weights import is_released

# Each image is scored 36 times: about half a minute for ltfn5 on two cores.
_CORRUPTED_IMAGES = 1_000


def main(argv: Sequence[str]) -> None:
    """Score the network of one run."""
    arguments = _parser().parse_args(argv)
    if arguments.corruptions and (arguments.data is not None or arguments.split != "test"):
        raise InputError(
            "--corruptions uses the test split of the run's own data; leave out --data and --split"
        )
    if arguments.data is not None:
        data.check_name(arguments.data)
    run = find(arguments.run)
    result = run.read_result()
    picture = _picture(run, result["model"])
    if arguments.corruptions and not atomic.is_writable(picture.parent):
        raise InputError(
            f"--corruptions cannot write {picture}: {picture.parent} is not a writable folder; "
            "change its permissions, or use another folder"
        )

    backend.start_tensorflow()
    predict = predict_fn(load_model(run.folder))
    dataset = _dataset(run, arguments)
    split = getattr(dataset, arguments.split)
    if not len(split):
        raise InputError(f"{dataset.name} has no {arguments.split} images; give another --split")
    if arguments.split != "train" and (warning := seen.warning(str(run.folder), run.seen, split)):
        print(warning, file=sys.stderr)
    facts = {"model": result["model"], "data": dataset.name, "split": arguments.split}
    if arguments.corruptions:
        facts |= _corruption_facts(predict, split, picture)
        text = corruption_text(facts)
    else:
        facts |= _facts(evaluate(predict, split), split, dataset.class_names)
        text = _text(facts)
    print(atomic.json_text(facts) if arguments.json else text)


def _parser() -> cli.Parser:
    parser = cli.Parser(
        "zoo.evaluate",
        "Score a run's network on a whole split.",
        example="runs/ltfn5 --split validation",
        imports=True,
    )
    parser.add_argument(
        "run",
        metavar="RUN|NAME",
        help="run folder, such as runs/ltfn5, or a network that the package contains trained",
    )
    parser.add_argument(
        "--split",
        choices=("train", "validation", "test"),
        default="test",
        help="split to score (default: test)",
    )
    parser.add_argument(
        "--data",
        metavar="NAME",
        help=f"{data.HELP}; must have the classes of the run (default: the run's own data)",
    )
    parser.add_argument(
        "--corruptions",
        action="store_true",
        help=f"score {_CORRUPTED_IMAGES:,} test images under noise, blur, rotation, ... at five "
        "severities, and write corruptions.png to the run folder, or for a network of the package "
        "to the current folder",
    )
    parser.add_argument(
        "--json", action="store_true", help="print a JSON object with exact numbers"
    )
    cli.add_data_arguments(parser)
    return parser


def _picture(run: Run, model: str) -> Path:
    """Return the file of the drawing of the corruptions."""
    # The folder of the package's own networks may be read-only.
    return Path(f"{model}-corruptions.png") if is_released(run.folder) else run.corruptions


def _dataset(run: Run, arguments: argparse.Namespace) -> data.Dataset:
    """Return the run's own dataset, or another one with the same classes.

    A copy of the folder that the run was trained on has the splits of the training.

    Raises:
        InputError: the classes differ; the message names the first difference.
    """
    if arguments.data is None:
        return load_data(run, **cli.data_options(arguments))
    recorded = run.read_result()["data"]
    options = cli.data_options(arguments)
    known = _is_trained_on(arguments.data, recorded)
    if known:
        note = f"{run.folder} was trained on the pictures of {arguments.data}: its splits are kept"
        print(note, file=sys.stderr)
    dataset = data.load_recorded(recorded, arguments.data, trainable=known, **options)
    wanted, given = recorded["class_names"], list(dataset.class_names)
    if len(given) != len(wanted):
        raise InputError(
            f"{dataset.name} has {len(given)} classes, but {run.folder} has {len(wanted)}"
        )
    for number, (ours, theirs) in enumerate(zip(wanted, given, strict=True)):
        if ours != theirs:
            raise InputError(
                f"class {number} of {dataset.name} is {theirs!r}, but {ours!r} in {run.folder}; "
                "the classes must have the same names in the same order"
            )
    return dataset


def _is_trained_on(name: str, recorded: dict[str, Any]) -> bool:
    """Return whether a name is a folder with the pictures of a run that took splits from them."""
    are_folders = data.is_folder(recorded["source"]) and data.is_folder(name)
    if not (recorded["taken_from_train"] and are_folders):
        return False
    try:
        return image_folder.survey(Path(name)).fingerprint() == recorded["version"]
    except InputError:  # it cannot be trained on, or loading it reports the reason
        return False


def _facts(score: Metrics, split: Split, class_names: Sequence[str]) -> dict[str, Any]:
    counts = class_counts(score, split.labels)
    return {
        "accuracy": score.accuracy,
        "correct": score.correct,
        "count": score.count,
        "cost": score.cost,
        "interval": wilson_interval(score.correct, score.count),
        "calibration_error": calibration_error(score, split.labels),
        "classes": {
            name: {
                "accuracy": correct / count if count else None,
                "correct": correct,
                "count": count,
            }
            for name, (correct, count) in zip(class_names, counts, strict=True)
        },
    }


def _text(facts: dict[str, Any]) -> str:
    kind = facts["split"].capitalize()
    low, high = facts["interval"]
    wide = max(map(len, ("class", *facts["classes"])))
    lines = [
        f"{kind} cost: {facts['cost']:,.6g}",
        f"{kind} accuracy: {100 * facts['accuracy']:.2f} %, "
        f"{facts['correct']:,} of {facts['count']:,} on {facts['data']}",
        f"95 % confidence interval: {100 * low:.2f} to {100 * high:.2f} %",
        f"Expected calibration error: {100 * facts['calibration_error']:.2f} %",
        f"{'class':<{wide}}  accuracy  correct   images",
    ]
    for name, each in facts["classes"].items():
        share = "-" if each["accuracy"] is None else f"{100 * each['accuracy']:.2f} %"
        lines.append(f"{name:<{wide}}  {share:>8}  {each['correct']:>7,}  {each['count']:>7,}")
    return "\n".join(lines)


def _corruption_facts(predict: PredictFn, test: Split, picture: Path) -> dict[str, Any]:
    """Score part of the test split under every corruption, and draw one of its images."""
    chosen = stratified(test, _CORRUPTED_IMAGES)
    images, labels = test.images[chosen], test.labels[chosen]

    def accuracy(images: np.ndarray) -> float:
        return evaluate(predict, Split("test", images, labels)).accuracy

    clean = accuracy(images)
    accuracies: dict[str, list[float]] = {name: [] for name in CORRUPTIONS}
    # The image with the highest contrast shows the corruptions best.
    shown = int(np.argmax(images.std(axis=(1, 2, 3))))
    examples = {}
    for name, found in accuracies.items():
        corrupted = [corrupt(images, name, severity) for severity in SEVERITIES]
        found.extend(accuracy(each) for each in corrupted)
        examples[name] = [each[shown] for each in corrupted]
    with atomic.staged(picture) as stage:
        plots.corruptions((images[shown], clean), examples, accuracies).savefig(stage, format="png")
    return {
        "count": len(chosen),
        "clean_accuracy": clean,
        "mean_accuracy": float(np.mean(list(accuracies.values()))),
        "accuracies": accuracies,
        "picture": str(picture),
    }


def corruption_text(facts: dict[str, Any]) -> str:
    """Return the accuracies as a table with one row per corruption."""
    lines = [
        f"Accuracy in %, {facts['count']:,} test images of {facts['data']}; "
        f"uncorrupted {100 * facts['clean_accuracy']:.2f}",
        "severity   " + "".join(f"{severity:>8}" for severity in SEVERITIES),
    ]
    for name, found in facts["accuracies"].items():
        lines.append(f"{name:<11}" + "".join(f"{100 * each:>8.2f}" for each in found))
    lines.append(f"Mean of all corruptions: {100 * facts['mean_accuracy']:.2f} %")
    lines.append(f"{facts['picture']} shows one image under each corruption")
    return "\n".join(lines)


if __name__ == "__main__":
    cli.run("zoo.evaluate", main)
