"""``python -m zoo.predict RUN PICTURE ...``: what a run's network takes pictures for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo import commands
from zoo.fit import fit
from zoo.runs import Run, load_model
from zoo.training import predict_fn


def main(argv: Sequence[str]) -> None:
    """Classify pictures."""
    parser = commands.Parser(
        "zoo.predict", "Say what pictures show, and what was done to fit them to the network."
    )
    parser.add_argument("run", metavar="RUN", help="run folder, such as runs/ltfn5")
    parser.add_argument("pictures", nargs="+", type=Path, metavar="PICTURE")
    parser.add_argument(
        "--top", type=commands.positive, default=3, help="classes to name (default: 3)"
    )
    parser.add_argument("--json", action="store_true", help="an array of objects")
    arguments = parser.parse_args(argv)
    run = Run(arguments.run)
    facts = run.read_result()["data"]
    height, width, channels = facts["image_shape"]
    # Every picture is read before the network is started: a bad one costs no wait.
    fitted = [fit(path, (height, width, channels), facts["border"]) for path in arguments.pictures]

    commands.start_tensorflow()
    logits = predict_fn(load_model(run.folder))(np.stack([image for image, _ in fitted]))
    answers = [
        {"picture": str(path), "done": done, "classes": _top(row, facts, arguments.top)}
        for path, (_, done), row in zip(arguments.pictures, fitted, logits, strict=True)
    ]
    print(json.dumps(answers, indent=2) if arguments.json else "\n".join(map(_told, answers)))


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
