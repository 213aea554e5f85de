"""Time of the zoo's training step of ltfn5 with the whole batch and with shards."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
from etils import epy

from tools.bench.race import run_interleaved, serve
from tools.bench.results import Result, median
from tools.bench.steps import training_step
from zoo import recipes
from zoo.models import registry
from zoo.models.registry import PRECISIONS
from zoo.training import parallelism
from zoo.util import backend

with epy.lazy_imports():
    import tensorflow as tf

_WHOLE, _PARTED, _CEILING = "whole", "in shards", "matrix products"
_BATCHES = ("100", "256")
_COURSES = [f"{precision} {batch}" for precision in PRECISIONS for batch in _BATCHES]
_IMAGES = 400  # per measurement, approximately
_SIZE = 3_072  # side of the square matrices


def measure(rounds: int) -> Result:
    """Compare the same step, whole and in shards, with matrix products of as many operations."""
    contestants = {each: [__name__, each] for each in (_WHOLE, _PARTED, _CEILING)}
    found = run_interleaved(contestants, _COURSES, rounds)
    rows, headlines = [], {}
    for course in _COURSES:
        precision, batch = course.split()
        whole, parted, ceiling = (median(found[course][name]) for name in contestants)
        gain, share = f"{whole / parted:.2f}", f"{100 * ceiling / parted:.0f} %"
        milliseconds = (f"{each:.1f}" for each in (whole, parted, ceiling))
        rows.append([precision, batch, *milliseconds, gain, share])
        if batch == _BATCHES[0]:
            headlines[f"time of a training step in {precision}: whole batch / in shards"] = gain
            rate = f"multiply-adds per second in {precision}"
            headlines[f"{rate}: training step in shards / large matrix product"] = share
    return Result(
        title="a training step of ltfn5 with its batch whole and in shards, milliseconds",
        columns=[
            "format",
            "batch",
            *contestants,
            "whole / in shards",
            "of the ceiling, in shards",
        ],
        rows=rows,
        notes=(
            f"Medians of {rounds} rounds of about {_IMAGES} images, interleaved. Whole: each "
            "operation uses all threads, TensorFlow's default; in shards: each uses one. Ceiling: "
            f"products of {_SIZE:,} x {_SIZE:,} matrices with as many multiply-adds."
        ),
        headlines=headlines,
        figures=found,
    )


def main(how: str) -> None:
    """Serve one contestant; a course is ``PRECISION BATCH``, measured in milliseconds per step."""
    backend.start_tensorflow()
    if how == _PARTED:
        parallelism.prepare(recipes.get_recipe("quick"), ["ltfn5"])
    ready: dict[str, Callable[[], float]] = {}

    def product(course: str) -> float:
        precision, batch = course.split()
        matrix = tf.cast(tf.random.normal([_SIZE, _SIZE]), precision)
        begin = time.perf_counter()
        float(tf.matmul(matrix, matrix)[0, 0])
        milliseconds = 1e3 * (time.perf_counter() - begin)
        # Forward pass and gradients of inputs and weights; the image needs no gradient.
        adds = 3 * registry.get_costs("ltfn5").multiply_adds - 28 * 28 * 9 * 64
        return milliseconds * int(batch) * adds / _SIZE**3

    def start(course: str) -> Callable[[], float]:
        precision, batch = course.split()
        count = int(batch)
        random = np.random.default_rng(0)
        images = tf.constant(random.integers(0, 256, (count, 28, 28, 1), np.uint8))
        labels = tf.constant(random.integers(0, 10, count))
        recipe = recipes.get_recipe("quick").replace(
            precision=precision, batch_size=count, steps=1_000
        )
        step = training_step(recipe)
        return lambda: float(step(images, labels)[0])

    def turn(course: str) -> float:
        if course not in ready:
            ready[course] = start(course)
            ready[course]()
        steps = round(_IMAGES / int(course.split()[1]))
        begin = time.perf_counter()
        for _ in range(steps):
            ready[course]()
        return 1e3 * (time.perf_counter() - begin) / steps

    serve(product if how == _CEILING else turn)


if __name__ == "__main__":
    main(sys.argv[1])
