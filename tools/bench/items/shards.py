"""The zoo's training step of ltfn5 with the batch whole and in shards."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
from etils import epy

from tools.bench.race import race, serve
from tools.bench.results import Result, median
from tools.bench.steps import training_step
from zoo import commands, recipes, shards

with epy.lazy_imports():
    import tensorflow as tf

_COURSES = [
    f"{precision} {batch}" for precision in ("float32", "bfloat16") for batch in (100, 128, 256)
]
_STEPS = 8


def measure(rounds: int) -> Result:
    """Race the same step, whole and in shards."""
    contestants = {each: [__name__, each] for each in ("whole", "in shards")}
    found = race(contestants, _COURSES, rounds)
    rows, gains = [], {}
    for course in _COURSES:
        whole, parted = (median(found[course][name]) for name in contestants)
        gains[course] = f"{whole / parted:.2f}"
        rows.append([*course.split(), f"{whole:.1f}", f"{parted:.1f}", gains[course]])
    return Result(
        title="a training step of ltfn5 with its batch whole and in shards, milliseconds",
        columns=["format", "batch", "whole", "in shards", "whole / in shards"],
        rows=rows,
        notes=(
            f"Medians of {rounds} turns of {_STEPS} steps, both in turn; whole: each operation on "
            "all threads, as TensorFlow does by itself; in shards: each on one."
        ),
        headlines={
            f"a training step in {precision}, batch whole / in shards": gains[f"{precision} 100"]
            for precision in ("float32", "bfloat16")
        },
        figures=found,
    )


def main(how: str) -> None:
    """Serve milliseconds for a step; a course is ``PRECISION BATCH``."""
    commands.start_tensorflow()
    if how == "in shards":
        shards.prepare(["ltfn5"], 100)
    ready: dict[str, Callable[[], float]] = {}

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
        begin = time.perf_counter()
        for _ in range(_STEPS):
            ready[course]()
        return 1e3 * (time.perf_counter() - begin) / _STEPS

    serve(turn)


if __name__ == "__main__":
    main(sys.argv[1])
