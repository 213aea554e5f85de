"""Latency of each runtime per image, on 1 and 2 threads, with batches of 1 and 32."""

from __future__ import annotations

import functools
import sys
import time
from pathlib import Path

import numpy as np

from export.formats import LITERT
from tools.bench.models import batched_bundle, bundle
from tools.bench.race import run_interleaved, serve
from tools.bench.results import Result, median
from zoo.bundles import runtimes
from zoo.bundles.integrity import open_bundle
from zoo.metrics import PredictFn

_THREADS = (1, 2)
_BATCHES = ("1", "32")
_SECONDS = 0.3  # duration of each measurement
_FOREIGN = "OpenVINO on LiteRT's int8 file"
_FORMATS = {
    "SavedModel": "saved_model",
    "LiteRT float32": "float32",
    "LiteRT int8": "int8",
    "LiteRT int16x8": "int16x8",
    "ONNX Runtime float32": "onnx",
    "OpenVINO float32": "openvino",
    _FOREIGN: "int8",
}


def measure(rounds: int) -> Result:
    """Measure all runtimes in turns with each number of threads and batch size."""
    found = {}
    for threads in _THREADS:
        contestants = {name: [__name__, name, str(threads), *_paths(name)] for name in _FORMATS}
        for batch, rates in run_interleaved(contestants, _BATCHES, rounds).items():
            found[f"{threads} x {batch}"] = rates
    rows = [
        [name, *(f"{1e6 / median(rates[name]):,.0f}" for rates in found.values())]
        for name in _FORMATS
    ]
    first = next(iter(found.values()))
    return Result(
        title="microseconds for an image of ltfn5",
        columns=["runtime", *(f"threads x batch: {course}" for course in found)],
        rows=rows,
        notes=(
            f"Medians of {rounds} rounds of {_SECONDS} s, all runtimes interleaved; uint8 pixels "
            "in, float32 logits out, called from Python."
        ),
        headlines={
            f"one image on one thread, {name}": f"{1e6 / median(first[name]):,.0f} us"
            for name in ("LiteRT int8", "LiteRT float32", "SavedModel")
        },
        figures=found,
    )


def _paths(name: str) -> list[str]:
    """Return the file that a runtime opens for each batch size, which is fixed in LiteRT files."""
    found = []
    for batch in _BATCHES:
        single = batch == "1" or _FORMATS[name] not in LITERT
        opened = open_bundle(bundle() if single else batched_bundle(int(batch)))
        artifact = opened.artifact(_FORMATS[name])
        assert artifact
        found.append(str(opened.path(artifact)))
    return found


def main(name: str, threads: str, *paths: str) -> None:
    """Serve one runtime; a course is a batch size, measured in images per second."""
    opener = runtimes.open_openvino if name == _FOREIGN else runtimes.open_alone
    files = dict(zip(_BATCHES, paths, strict=True))

    @functools.cache
    def opened(batch: str) -> PredictFn:
        return opener(Path(files[batch]), int(threads)).predict_fn

    def turn(batch: str) -> float:
        predict_fn = opened(batch)
        images = np.random.default_rng(0).integers(0, 256, (int(batch), 28, 28, 1), np.uint8)
        begin, calls = time.perf_counter(), 0
        while (passed := time.perf_counter() - begin) < _SECONDS:
            predict_fn(images)
            calls += 1
        return calls * len(images) / passed

    serve(turn)


if __name__ == "__main__":
    main(*sys.argv[1:])
