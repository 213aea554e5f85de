"""``python -m zoo.predict RUN|BUNDLE PICTURE ...``: what a trained network takes pictures for.

A bundle answers through its LiteRT file, which takes a tenth of the time that TensorFlow needs to
start.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo import commands
from zoo.errors import InputError
from zoo.fit import fit
from zoo.metrics import PredictFn
from zoo.runs import Run, load_model
from zoo.training import predict_fn


def main(argv: Sequence[str]) -> None:
    """Classify pictures."""
    parser = commands.Parser(
        "zoo.predict", "Say what pictures show, and what was done to fit them to the network."
    )
    parser.add_argument(
        "network", type=Path, metavar="RUN|BUNDLE", help="such as runs/ltfn5 or exports/ltfn5/1"
    )
    parser.add_argument("pictures", nargs="+", type=Path, metavar="PICTURE")
    parser.add_argument(
        "--top", type=commands.positive, default=3, help="classes to name (default: 3)"
    )
    parser.add_argument("--json", action="store_true", help="an array of objects")
    parser.add_argument(
        "--runtime",
        metavar="FORMAT",
        help="which of a bundle's files answers: float32 (default), int8, saved_model, ...",
    )
    arguments = parser.parse_args(argv)
    facts, load = _opened(arguments.network, arguments.runtime)
    height, width, channels = facts["image_shape"]
    # Every picture is read before the network is loaded: a bad one costs no wait.
    fitted = [fit(path, (height, width, channels), facts["border"]) for path in arguments.pictures]
    logits = load()(np.stack([image for image, _ in fitted]))
    answers = [
        {"picture": str(path), "done": done, "classes": _top(row, facts, arguments.top)}
        for path, (_, done), row in zip(arguments.pictures, fitted, logits, strict=True)
    ]
    print(json.dumps(answers, indent=2) if arguments.json else "\n".join(map(_told, answers)))


def _opened(folder: Path, runtime: str | None) -> tuple[dict[str, Any], Callable[[], PredictFn]]:
    """Return the facts of a network's data, and what loads its predictions."""
    if (folder / "manifest.json").exists():
        # The one place where the zoo knows of the exporter that is built on it.
        loading = importlib.import_module("export.loading")
        bundle = loading.open_bundle(folder)

        def load_bundle() -> PredictFn:
            if runtime == "saved_model":
                commands.start_tensorflow()
            return loading.predict_fn_of(bundle, runtime or "float32")

        return bundle.manifest["data"], load_bundle

    if runtime:
        raise InputError(f"--runtime chooses a bundle's file, and {folder} is no bundle")
    run = Run(folder)

    def load_run() -> PredictFn:
        commands.start_tensorflow()
        return predict_fn(load_model(run.folder))

    return run.read_result()["data"], load_run


def _top(logits: np.ndarray, facts: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Return the most probable classes, the first first."""
    exponentials = np.exp(logits.astype(np.float64) - logits.max())
    probabilities = exponentials / exponentials.sum()
    order = np.argsort(-probabilities, kind="stable")[:count]
    return [
        {"class": facts["class_names"][at], "probability": float(probabilities[at])} for at in order
    ]


def _told(answer: dict[str, Any]) -> str:
    classes = ", ".join(
        f"{each['class']} ({100 * each['probability']:.1f} %)" for each in answer["classes"]
    )
    done = ", ".join(answer["done"]) or "taken as it is"
    return f"{answer['picture']}: {classes}\n  {done}"


if __name__ == "__main__":
    commands.run("zoo.predict", main)
