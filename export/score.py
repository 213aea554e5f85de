"""Score one exported file in a fresh process, with nothing but its own runtime.

    python -m export.score ARTIFACT SPLIT.npz RESULT.npz

The process has one thread for the network, so that times can be compared.
"""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from etils import epy

from export import flatbuffer, process
from export.memory import activation_bytes
from export.runtimes import Artifact, open_artifact
from zoo import commands
from zoo.metrics import Metrics, PredictFn, evaluate
from zoo.splits import Split

with epy.lazy_imports():
    import tensorflow as tf

_TIMED_IMAGES = 200


def score(artifact: Path, split_file: Path, scratch: Path) -> tuple[Metrics, dict[str, Any]]:
    """Return an artifact's metrics over a split, and its facts, from a fresh process.

    Args:
        artifact: what ``export.runtimes`` opens.
        split_file: what ``write_split`` wrote.
        scratch: folder for the answer.

    Returns:
        The metrics, and ``inputs``, ``outputs``, ``microseconds`` per image (the median of single
        calls on one thread), ``peak_bytes`` of the process, and of a LiteRT file ``operators`` and
        ``activation_bytes``.

    Raises:
        ZooError: the process failed.
    """
    answer = scratch / f"score-{artifact.name}.npz"
    process.run_module("export.score", artifact, split_file, answer)
    with np.load(answer) as arrays:
        metrics = Metrics(
            correct=int(arrays["correct"]),
            count=int(arrays["count"]),
            cost=float(arrays["cost"]),
            logits=arrays["logits"],
        )
        return metrics, json.loads(str(arrays["facts"]))


def write_split(split: Split, file: Path) -> None:
    """Write a split for the processes that score on it."""
    np.savez(file, images=split.images, labels=split.labels)


def main(argv: Sequence[str]) -> None:
    """Score one artifact."""
    parser = commands.Parser("export.score", "Score one exported file with its own runtime.")
    parser.add_argument("artifact", type=Path, metavar="ARTIFACT")
    parser.add_argument("split", type=Path, metavar="SPLIT.npz")
    parser.add_argument("answer", type=Path, metavar="RESULT.npz")
    arguments = parser.parse_args(argv)
    if arguments.artifact.is_dir():
        commands.start_tensorflow()
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    with np.load(arguments.split) as arrays:
        split = Split("test", arrays["images"], arrays["labels"])
    artifact = open_artifact(arguments.artifact)
    metrics = evaluate(artifact.predict_fn, split)
    np.savez(
        arguments.answer,
        correct=metrics.correct,
        count=metrics.count,
        cost=metrics.cost,
        logits=metrics.logits,
        facts=json.dumps(_facts(artifact, split) | _graph_facts(arguments.artifact)),
    )


def _facts(artifact: Artifact, split: Split) -> dict[str, Any]:
    return {
        "inputs": artifact.inputs,
        "outputs": artifact.outputs,
        "microseconds": _microseconds(artifact.predict_fn, split.images[:_TIMED_IMAGES]),
        "peak_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }


def _graph_facts(artifact: Path) -> dict[str, Any]:
    if artifact.suffix != ".tflite":
        return {}
    graph = flatbuffer.read(artifact.read_bytes())
    return {
        "operators": [operator.name for operator in graph.operators],
        "activation_bytes": activation_bytes(graph),
    }


def _microseconds(predict_fn: PredictFn, images: np.ndarray) -> float:
    """Return the median time of one image, in microseconds."""
    seconds = []
    for at in range(len(images)):
        begin = time.perf_counter()
        predict_fn(images[at : at + 1])
        seconds.append(time.perf_counter() - begin)
    return float(1e6 * np.median(seconds))


if __name__ == "__main__":
    commands.run("export.score", main)
