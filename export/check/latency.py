"""Measure the latency and memory of one exported file, in a subprocess.

The command of the subprocess is::

    python -m export.check.latency ARTIFACT IMAGES.npy FACTS.json
"""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from export import subprocesses
from export.litert import flatbuffer
from export.litert.memory import activation_bytes
from zoo import cli
from zoo.bundles.runtimes import SecondsFn, open_alone
from zoo.metrics import PredictFn
from zoo.util import atomic

_TIMED_IMAGES = 200
# Browsers round the time to a tenth of a millisecond.
_IMAGES_OF_A_RUNTIME = 20


def measure(artifact: Path, images_file: Path, scratch: Path) -> dict[str, Any]:
    """Return the tensors, latency and memory of an exported file.

    Args:
        artifact: a path that ``zoo.bundles.runtimes`` can open.
        images_file: uint8 images as a ``.npy`` file.
        scratch: folder for the results from the subprocess.

    Returns:
        ``inputs``, ``outputs``, ``microseconds`` per image (the median of calls with the file's
        batch size on one thread), ``peak_bytes`` of the subprocess, and for a LiteRT file
        ``operators`` and ``activation_bytes``.

    Raises:
        ZooError: the subprocess failed.
    """
    answer = scratch / f"facts-{artifact.name}.json"
    subprocesses.run_module("export.check.latency", artifact, images_file, answer)
    return json.loads(answer.read_text(encoding="utf-8"))


def main(argv: Sequence[str]) -> None:
    """Write the measurements of one exported file."""
    parser = cli.Parser("export.check.latency", "Measure one exported file on one thread.")
    parser.add_argument("artifact", type=Path, metavar="ARTIFACT")
    parser.add_argument("images", type=Path, metavar="IMAGES.npy")
    parser.add_argument("answer", type=Path, metavar="FACTS.json")
    arguments = parser.parse_args(argv)
    artifact = open_alone(arguments.artifact)
    seconds_fn, batch = artifact.seconds_fn, artifact.inputs["image"]["shape"][0] or 1
    images = np.array(np.load(arguments.images, mmap_mode="r")[: max(_TIMED_IMAGES, batch)])
    facts = {
        "inputs": artifact.inputs,
        "outputs": artifact.outputs,
        "microseconds": (
            _microseconds(seconds_fn, images, min(_IMAGES_OF_A_RUNTIME, len(images)))
            if seconds_fn
            else _microseconds(_timed(artifact.predict_fn), images, batch)
        ),
        "peak_bytes": _peak_bytes(),
    }
    facts |= _graph_facts(arguments.artifact)
    atomic.write_json(arguments.answer, facts)


def _peak_bytes() -> int:
    """Return the peak resident memory of this process, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # On Linux, ru_maxrss is inherited from the parent process.
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _graph_facts(artifact: Path) -> dict[str, Any]:
    if artifact.suffix != ".tflite":
        return {}
    graph = flatbuffer.read(artifact.read_bytes())
    return {
        "operators": [operator.name for operator in graph.operators],
        "activation_bytes": activation_bytes(graph),
    }


def _timed(predict_fn: PredictFn) -> SecondsFn:
    """Return a function from images to the seconds of one call with them."""

    def seconds_fn(images: np.ndarray) -> float:
        begin = time.perf_counter()
        predict_fn(images)
        return time.perf_counter() - begin

    return seconds_fn


def _microseconds(seconds_fn: SecondsFn, images: np.ndarray, count: int) -> float:
    """Return the median time per image, in microseconds, of calls with ``count`` images."""
    starts = range(0, max(1, len(images) - count + 1), count)
    seconds = [seconds_fn(images[at : at + count]) for at in starts]
    return float(1e6 * np.median(seconds) / count)


if __name__ == "__main__":
    cli.run("export.check.latency", main)
