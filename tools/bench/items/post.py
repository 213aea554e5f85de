"""Training speed over all steps of the post's recipe, compared with Keras and PyTorch."""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from tools.bench.items.training import OTHERS
from tools.bench.race import run_interleaved, serve
from tools.bench.results import Result, median
from tools.bench.steps import training_step
from zoo import data, recipes
from zoo.models import registry
from zoo.training import loop, parallelism, precision
from zoo.util import backend

_COURSE = "100 0 post"
_OURS, _STOCK = "zoo", "Keras fit, float32"


def measure(rounds: int) -> Result:
    """Train by the post's recipe in ``rounds`` parts, and measure the others after each part."""
    contestants = {_OURS: [__name__, str(rounds)]} | OTHERS
    found = run_interleaved(contestants, [_COURSE], rounds)[_COURSE]
    # The zoo gets faster during training, so all its steps count; the others keep their speed.
    rates = {name: median(values) for name, values in found.items()}
    parts = _parts(rounds)
    rates[_OURS] = statistics.harmonic_mean(found[_OURS], weights=[len(part) for part in parts])
    rows = [
        _row(
            f"{part.start + 1:,} to {part.stop:,}",
            {name: values[turn] for name, values in found.items()},
        )
        for turn, part in enumerate(parts)
    ]
    return Result(
        title="training ltfn5 on MNIST by the post's recipe, images per second",
        columns=["steps of 100", *contestants, "zoo / Keras float32"],
        rows=[*rows, _row("**all**", rates)],
        notes=(
            "The zoo runs every step, in the format that `auto` selects. After each part the "
            "others run 400 images each; their speed is constant, so **all** is their median. The "
            "zoo gets faster as more images are classified correctly and have a zero gradient."
        ),
        headlines={
            "training speed, the post's recipe: this project / stock Keras `fit`": (
                f"{rates[_OURS] / rates[_STOCK]:.2f}"
            )
        },
        figures=found,
    )


def _row(steps: str, rates: Mapping[str, float]) -> list[str]:
    ratio = f"{rates[_OURS] / rates[_STOCK]:.2f}"
    return [steps, *(f"{rate:,.0f}" for rate in rates.values()), ratio]


def _parts(rounds: int) -> list[range]:
    """Split the recipe's steps into ``rounds`` parts of nearly equal length."""
    steps = recipes.post().steps
    assert steps
    return [range(steps * at // rounds, steps * (at + 1) // rounds) for at in range(rounds)]


def main(rounds: int) -> None:
    """Serve the images per second of each part of one training, after one warm-up measurement."""
    backend.start_tensorflow()
    recipe = recipes.post()
    parallelism.prepare(recipe, ["ltfn5"])
    fastest = precision.fastest(lambda name: registry.create_model("ltfn5", precision=name))
    step: Any = training_step(recipe.replace(precision=fastest))
    dataset = data.load("mnist", offline=True)

    def answers() -> Iterator[float]:
        # The step is only compiled, so that every executed step is timed.
        step.get_concrete_function(*next(loop.recipe_batches(recipe, dataset, 0, 1)))
        yield math.nan
        for part in _parts(rounds):
            begin = time.perf_counter()
            for batch in loop.recipe_batches(recipe, dataset, part.start, part.stop):
                cost, accuracy = step(*batch)
                float(cost), float(accuracy)
            yield len(part) * recipe.batch_size / (time.perf_counter() - begin)

    answer = answers()
    serve(lambda course: next(answer))


if __name__ == "__main__":
    main(int(sys.argv[1]))
