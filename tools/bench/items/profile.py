"""Time share of each operation in a training step, and its speed relative to the ceiling."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
from etils import epy

from tools.bench.results import Result, median
from tools.bench.steps import training_step
from zoo import recipes
from zoo.util import backend

with epy.lazy_imports():
    import tensorflow as tf

_BATCH = 100
_STEPS = 10
_MARK = "-- profiled --"
_SIZE = 3_072  # side of the square matrices whose product is the ceiling
_KINDS = {
    "forward_training": "forward",
    "backward_data": "input gradient",
    "backward_weights": "weight gradient",
}


def measure(rounds: int) -> Result:
    """Profile a step in each format, using oneDNN's log of its primitives.

    ``rounds`` is an argument of every item, but is not used here: a profile has ``_STEPS`` steps.
    """
    rows, figures = [], {}
    for precision in ("float32", "bfloat16"):
        primitives, step, ceiling = _profile(precision)
        figures[precision] = {"primitives": primitives, "step": step, "ceiling": ceiling}
        known = sum(primitives.values())
        for name, milliseconds in sorted(primitives.items(), key=lambda item: -item[1]):
            if milliseconds < 0.01 * step:
                continue
            rate = _operations(name) / milliseconds / 1e6
            cells = (f"{rate:,.0f}", f"{100 * rate / ceiling:.0f} %") if rate else ("", "")
            rows.append(_row(precision, name, milliseconds, step, *cells))
        small = sum(value for value in primitives.values() if value < 0.01 * step)
        rows.append(_row(precision, "other primitives", small, step, "", ""))
        rows.append(_row(precision, "TensorFlow's own, and between", step - known, step, "", ""))
        rate = sum(map(_operations, primitives)) / step / 1e6
        share = f"{100 * rate / ceiling:.0f} %"
        rows.append(_row(precision, "**the whole step**", step, step, f"{rate:,.0f}", share))
    return Result(
        title=f"a training step of ltfn5 with an unsharded batch of {_BATCH}, by primitives",
        columns=["format", "primitive", "ms", "share", "GFLOP/s", "of the ceiling"],
        rows=rows,
        notes=(
            f"Medians of {_STEPS} steps, one operation at a time on all threads. The ceiling is "
            f"TensorFlow's product of two {_SIZE:,} x {_SIZE:,} matrices in the same format: "
            + ", ".join(f"{name} {each['ceiling']:,.0f} GFLOP/s" for name, each in figures.items())
            + "."
        ),
        headlines={},
        figures=figures,
    )


def _row(precision: str, name: str, milliseconds: float, step: float, *cells: str) -> list[str]:
    share = f"{100 * milliseconds / step:.0f} %"
    return [precision, name, f"{milliseconds:.2f}", share, *cells]


def _profile(precision: str) -> tuple[dict[str, float], float, float]:
    """Return the milliseconds of each primitive, of the step, and the ceiling in GFLOP/s."""
    done = subprocess.run(
        [sys.executable, "-m", __name__, precision],
        env=os.environ | {"ONEDNN_VERBOSE": "profile_exec"},
        capture_output=True,
        text=True,
        check=True,
    )
    _, *steps, measured = done.stdout.split(_MARK)
    primitives: dict[str, list[float]] = defaultdict(lambda: [0.0] * len(steps))
    for at, lines in enumerate(steps):
        for line in lines.splitlines():
            if ",exec,cpu," in line:
                *_, kind, _, direction, _, _, _, shape, milliseconds = line.split(",")
                primitives[_name(kind, direction, shape)][at] += float(milliseconds)
    step, ceiling = map(float, measured.splitlines()[-1].split())
    return {name: median(values) for name, values in primitives.items()}, step, ceiling


def _name(kind: str, direction: str, shape: str) -> str:
    """Return a readable name of a primitive: a convolution's sizes and what it computes."""
    found = re.search(r"ic(\d+)oc(\d+)_ih(\d+)", shape)
    if kind != "convolution" or not found:
        return kind
    inputs, filters, size = found.groups()
    what = _KINDS.get(direction, direction)
    return f"convolution {size}x{size}, {inputs} to {filters}: {what}"


def _operations(name: str) -> float:
    """Return the floating-point operations of the named convolution, or 0 for other names."""
    found = re.search(r"convolution (\d+)x\d+, (\d+) to (\d+)", name)
    if not found:
        return 0.0
    size, inputs, filters = map(int, found.groups())
    return 2.0 * _BATCH * size**2 * 9 * inputs * filters


def main(precision: str) -> None:
    """Run the steps to be profiled, then measure the ceiling."""
    backend.start_tensorflow()
    # Concurrent operations would share the threads and distort each other's times.
    tf.config.threading.set_inter_op_parallelism_threads(1)
    step = training_step(recipes.get_recipe("adam").replace(precision=precision))
    random = np.random.default_rng(0)
    images = tf.constant(random.integers(0, 256, (_BATCH, 28, 28, 1), np.uint8))
    labels = tf.constant(random.integers(0, 10, _BATCH))
    matrix = tf.cast(tf.random.normal([_SIZE, _SIZE]), precision)

    def seconds(work: Callable[[], Any]) -> float:
        begin = time.perf_counter()
        float(work()[0])
        return time.perf_counter() - begin

    for _ in range(3):
        seconds(lambda: step(images, labels))
    steps = []
    for _ in range(_STEPS):
        print(_MARK, flush=True)
        steps.append(seconds(lambda: step(images, labels)))
    print(_MARK, flush=True)
    products = [seconds(lambda: tf.matmul(matrix, matrix)[0]) for _ in range(5)]
    ceiling = 2 * _SIZE**3 / min(products) / 1e9
    print(f"\n{1e3 * median(steps)} {ceiling}")


if __name__ == "__main__":
    main(*sys.argv[1:])
