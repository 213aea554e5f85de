"""``python -m zoo.predict RUN|BUNDLE PICTURE ...``: classify picture files.

By default a bundle's LiteRT file is used, which takes a tenth of the time that TensorFlow needs to
start.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo import bundles, cli, data
from zoo.data import contact_sheet, preprocessing
from zoo.data.preprocessing import Prepared, Preprocessing, shown
from zoo.errors import InputError
from zoo.inference import predict_fn
from zoo.metrics import PredictFn, check_finite, predict_in_batches, softmax
from zoo.runs import find, load_model
from zoo.util import atomic, backend, bundle_paths


@dataclass(frozen=True)
class _Answer:
    """The result for one object in one picture.

    Attributes:
        path: path of the picture.
        place: which of several objects it is, ``1 of 2``; empty if there is one object.
        prepared: the input image of the network, None if the object is not classified.
        problem: why the object is not classified.
        classes: the most probable classes, most probable first.
    """

    path: Path
    place: str = ""
    prepared: Prepared | None = None
    problem: str = ""
    classes: tuple[dict[str, Any], ...] = ()

    def record(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        values: dict[str, Any] = {"picture": shown(self.path), "classes": list(self.classes)}
        if self.place:
            values["place"] = self.place
        if self.prepared is None:
            return values | {"done": [], "problem": self.problem}
        return values | {"done": list(self.prepared.steps), "box": list(self.prepared.box)}

    def text(self) -> str:
        """Return the result as two lines, or a problem as one line."""
        if self.prepared is None:
            return f"{shown(self.path)}: {self.problem}"
        done = ", ".join(self.prepared.steps) or "used unchanged"
        place = f" [{self.place}]" if self.place else ""
        return f"{shown(self.path)}{place}: {self.verdict()}\n  {done}"

    def verdict(self) -> str:
        """Return the classes and their probabilities on one line."""
        return ", ".join(
            f"{each['class']} ({100 * each['probability']:.1f} %)" for each in self.classes
        )


def main(argv: Sequence[str]) -> None:
    """Classify pictures."""
    parser = cli.Parser(
        "zoo.predict",
        "Classify pictures, and report how each was preprocessed.",
        example="runs/ltfn5 digit.png",
        imports=True,
    )
    parser.add_argument(
        "network",
        type=Path,
        metavar="RUN|BUNDLE|NAME",
        help="such as runs/ltfn5, exports/ltfn5/1, or a network that the package contains trained",
    )
    parser.add_argument("pictures", nargs="+", type=Path, metavar="PICTURE")
    parser.add_argument("--top", type=cli.positive, default=3, help="classes to print (default: 3)")
    parser.add_argument("--json", action="store_true", help="print a JSON array")
    parser.add_argument(
        "--runtime",
        metavar="FORMAT",
        help="which of a bundle's files to use: float32 (default if it has one), int8, ...",
    )
    parser.add_argument(
        "--show",
        type=Path,
        metavar="FILE.png",
        help="draw each picture with the part that was used, and the input image of the network, "
        "into this file, which must be new or an earlier drawing",
    )
    parser.add_argument(
        "--each", action="store_true", help="classify each of several objects, left to right"
    )
    parser.add_argument(
        "--ink",
        choices=data.INKS,
        default=data.AUTO,
        help="locate handwriting in a photograph (default: auto, as recorded with the network)",
    )
    arguments = parser.parse_args(argv)
    if arguments.show:
        contact_sheet.check(arguments.show)
    facts, load = _opened(arguments.network, arguments.runtime)
    wanted = _preprocessing(facts, arguments.ink)
    # Reading all pictures before loading the network reports an unreadable one at once.
    answers = [
        answer
        for path in arguments.pictures
        for answer in _prepared(path, wanted, each=arguments.each)
    ]
    if arguments.show:
        contact_sheet.check_count(len(answers))
    answers = _classified(answers, load, facts["class_names"], arguments.top)
    if arguments.json:
        print(atomic.json_text([answer.record() for answer in answers]))
    else:
        print("\n".join(answer.text() for answer in answers))
    if arguments.show:
        contact_sheet.write(
            arguments.show,
            [
                (each.path, each.prepared, each.verdict() if each.prepared else each.problem)
                for each in answers
            ],
        )


def _preprocessing(facts: dict[str, Any], ink: str) -> Preprocessing:
    """Return the preprocessing recorded with the network, with ``--ink`` applied.

    Raises:
        InputError: ``ink`` is ``on``, but the network was not trained on handwriting.
    """
    recorded = preprocessing.recorded(facts)
    if ink == data.AUTO:
        return recorded
    if ink == "on" and recorded.polarity == "keep":
        raise InputError(
            "--ink on cannot be used: the network was trained on whole pictures; leave out --ink"
        )
    return dataclasses.replace(recorded, ink=ink == "on")


def _prepared(path: Path, wanted: Preprocessing, *, each: bool) -> list[_Answer]:
    """Return the objects of a picture as results without classes.

    Raises:
        InputError: the picture cannot be read.
    """
    picture = preprocessing.read_picture(path)
    try:
        found = preprocessing.prepare_each(picture, wanted)
    except InputError as error:
        raise InputError(f"{shown(path)} {error}") from error
    if (frames := preprocessing.frame_count(path)) > 1:
        step = f"first of {frames} frames"
        found = [dataclasses.replace(thing, steps=(step, *thing.steps)) for thing in found]
    if not found:
        return [_Answer(path, problem="no ink found")]
    if (count := len(found) + found[0].cut_off) > 1 and not each:
        which = "those that are not cut off at the edge" if found[0].cut_off else "each"
        problem = f"{count} separate objects found; --each classifies {which}, left to right"
        return [_Answer(path, problem=problem)]
    if len(found) == 1:
        return [_Answer(path, prepared=found[0])]
    return [_Answer(path, f"{number} of {len(found)}", one) for number, one in enumerate(found, 1)]


def _classified(
    answers: Sequence[_Answer], load: Callable[[], PredictFn], class_names: Sequence[str], top: int
) -> list[_Answer]:
    """Return the results with their classes; load the network only if it is needed.

    Raises:
        DivergedError: the logits are not finite.
    """
    images = [each.prepared.image for each in answers if each.prepared]
    logits = (
        predict_in_batches(load(), np.stack(images)) if images else np.empty((0, len(class_names)))
    )
    check_finite(logits, "pictures")
    rows = iter(logits)
    return [
        dataclasses.replace(each, classes=_top(next(rows), class_names, top))
        if each.prepared
        else each
        for each in answers
    ]


def _opened(folder: Path, runtime: str | None) -> tuple[dict[str, Any], Callable[[], PredictFn]]:
    """Return the record of a network's dataset, and a function that loads its ``predict_fn``."""
    if (folder / bundle_paths.MANIFEST).exists():
        bundle = bundles.open_bundle(folder)

        def load_bundle() -> PredictFn:
            if (runtime or bundle.default_runtime) == "saved_model":
                backend.start_tensorflow()
            return bundles.predict_fn_of(bundle, runtime)

        return bundle.manifest["data"], load_bundle

    if hint := bundle_paths.hint(folder):
        raise InputError(f"{folder} is not a bundle; {hint}")
    if runtime:
        raise InputError(
            f"--runtime selects a bundle's file, but {folder} is not a bundle; leave it out"
        )
    run = find(folder)

    def load_run() -> PredictFn:
        backend.start_tensorflow()
        return predict_fn(load_model(run.folder))

    return run.read_result()["data"], load_run


def _top(logits: np.ndarray, class_names: Sequence[str], count: int) -> tuple[dict[str, Any], ...]:
    """Return the most probable classes, most probable first."""
    probabilities = softmax(logits)
    order = np.argsort(-probabilities, kind="stable")[:count]
    return tuple(
        {"class": class_names[at], "probability": float(probabilities[at])} for at in order
    )


if __name__ == "__main__":
    cli.run("zoo.predict", main)
