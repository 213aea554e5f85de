"""Whether bfloat16 costs accuracy: the same short training in either format, over five seeds."""

from __future__ import annotations

import math
import statistics
import tempfile
from itertools import product
from pathlib import Path

from tools.bench import whole
from tools.bench.results import Result
from zoo.runs import Run

_STEPS = 100


def measure(rounds: int) -> Result:
    """Train with as many seeds as there are rounds, in turns."""
    found: dict[str, list[float]] = {"float32": [], "bfloat16": []}
    peaks = dict.fromkeys(found, 0.0)
    with tempfile.TemporaryDirectory() as out:
        for seed, precision in product(range(rounds), found):
            run = Run(Path(out) / f"{precision}-{seed}")
            options = ["--steps", _STEPS, "--seed", seed, "--precision", precision]
            data = ["--data", "mnist", "--offline", "--out", run.folder]
            done = whole.run(["-m", "zoo.train", "ltfn5", *options, *data])
            peaks[precision] = max(peaks[precision], done.megabytes)
            found[precision].append(100 * run.read_result()["test_accuracy"])
    deviations = {name: statistics.stdev(values) for name, values in found.items()}
    means = {name: statistics.mean(values) for name, values in found.items()}
    difference = means["bfloat16"] - means["float32"]
    noise = 2 * math.hypot(*deviations.values()) / math.sqrt(rounds)
    verdict = "within" if abs(difference) <= noise else "beyond"
    return Result(
        title=f"test accuracy of ltfn5 on MNIST after {_STEPS} steps of 100",
        columns=["format", "mean", "standard deviation", "each seed", "peak memory"],
        rows=[
            [
                name,
                f"{means[name]:.2f} %",
                f"{deviations[name]:.2f}",
                ", ".join(f"{value:.2f}" for value in values),
                f"{peaks[name]:,.0f} MB",
            ]
            for name, values in found.items()
        ],
        notes=(
            f"{rounds} seeds each, recipe `quick` shortened. bfloat16 differs by {difference:+.2f} "
            f"points, {verdict} twice the standard error of the difference, {noise:.2f}."
        ),
        headlines={
            f"bfloat16's mean accuracy against float32's, {rounds} seeds": (
                f"{difference:+.2f} points, {verdict} the seeds' noise"
            ),
            "`zoo.train ltfn5` on MNIST, peak memory": f"{max(peaks.values()):,.0f} MB",
        },
        figures={"accuracies": found, "megabytes": peaks},
    )
