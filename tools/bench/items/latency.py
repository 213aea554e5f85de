"""How long each runtime takes for an image: one and two threads, one image and 32 at once."""

from __future__ import annotations

import sys
import time
from itertools import product
from pathlib import Path

import numpy as np

from export import runtimes
from export.integrity import open_bundle
from tools.bench.models import bundle
from tools.bench.race import race, serve
from tools.bench.results import Result, median

_THREADS = (1, 2)
_BATCHES = (1, 32)
_SECONDS = 0.4  # of each turn
_FOREIGN = "OpenVINO on LiteRT's int8 file"


def measure(rounds: int) -> Result:
    """Race all runtimes with each number of threads and size of batch."""
    found = {}
    for threads, batch in product(_THREADS, _BATCHES):
        contestants = {
            name: [__name__, name, str(path), str(threads), str(batch)]
            for name, path in _artifacts(batch).items()
        }
        found[f"{threads} x {batch}"] = race(contestants, ["images"], rounds)["images"]
    names = list(next(iter(found.values())))
    rows = [
        [name, *(f"{1e6 / median(found[course][name]):,.0f}" for course in found)] for name in names
    ]
    first = next(iter(found.values()))
    return Result(
        title="microseconds for an image of ltfn5",
        columns=["runtime", *(f"threads x batch: {course}" for course in found)],
        rows=rows,
        notes=(
            f"Medians of {rounds} turns of {_SECONDS} s, all runtimes in turn; uint8 pixels in, "
            "float32 logits out, each called from Python."
        ),
        headlines={
            f"one image on one thread, {name}": f"{1e6 / median(first[name]):,.0f} us"
            for name in ("LiteRT int8", "LiteRT float32", "SavedModel")
        },
        figures=found,
    )


def _artifacts(batch: int) -> dict[str, Path]:
    opened = open_bundle(bundle(batch))
    names = {
        "SavedModel": "saved_model",
        "LiteRT float32": "float32",
        "LiteRT int8": "int8",
        "LiteRT int16x8": "int16x8",
        "ONNX Runtime float32": "onnx",
        "OpenVINO float32": "openvino",
        _FOREIGN: "int8",
    }
    found = {}
    for name, format in names.items():
        artifact = opened.artifact(format)
        assert artifact
        found[name] = opened.path(artifact)
    return found


def main(name: str, path: str, threads: str, batch: str) -> None:
    """Serve one runtime; each answer is in images per second."""
    opened = runtimes.open_openvino if name == _FOREIGN else runtimes.open_alone
    predict_fn = opened(Path(path), int(threads)).predict_fn
    images = np.random.default_rng(0).integers(0, 256, (int(batch), 28, 28, 1), np.uint8)

    def turn(course: str) -> float:
        begin, calls = time.perf_counter(), 0
        while (passed := time.perf_counter() - begin) < _SECONDS:
            predict_fn(images)
            calls += 1
        return calls * len(images) / passed

    serve(turn)


if __name__ == "__main__":
    main(*sys.argv[1:])
