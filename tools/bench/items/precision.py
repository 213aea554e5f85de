"""Test accuracy with bfloat16 and float32: the same short training with several seeds."""

from __future__ import annotations

import math
import statistics
import tempfile
from pathlib import Path

from tools.bench import whole
from tools.bench.results import Result
from zoo.models.registry import PRECISIONS
from zoo.runs import Run

_STEPS = 100


def measure(rounds: int) -> Result:
    """Run one study per format, with ``rounds`` seeds each."""
    found, peaks = {}, {}
    with tempfile.TemporaryDirectory() as scratch:
        for precision in PRECISIONS:
            out = Path(scratch) / precision
            options = ["--seeds", rounds, "--steps", _STEPS, "--precision", precision]
            data = ["--data", "mnist", "--offline", "--out", out]
            peaks[precision] = whole.run(["-m", "zoo.compare", "ltfn5", *options, *data]).megabytes
            found[precision] = [
                100 * Run(out / f"ltfn5-seed{seed}").read_result()["test_accuracy"]
                for seed in range(rounds)
            ]
    deviations = {name: statistics.stdev(values) for name, values in found.items()}
    means = {name: statistics.mean(values) for name, values in found.items()}
    difference = means["bfloat16"] - means["float32"]
    noise = 2 * math.hypot(*deviations.values()) / math.sqrt(rounds)
    verdict = "within" if abs(difference) <= noise else "beyond"
    return Result(
        title=f"test accuracy of ltfn5 on MNIST after {_STEPS} steps of 100",
        columns=["format", "mean", "standard deviation", "each seed", "peak memory of all seeds"],
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
            f"{rounds} seeds each, trained in sequence in one process with a shortened `quick`. "
            f"bfloat16 differs by {difference:+.2f} points, {verdict} twice the standard error of "
            f"the difference, {noise:.2f}."
        ),
        headlines={
            f"accuracy after {_STEPS} steps, bfloat16 minus float32, mean of {rounds} seeds": (
                f"{difference:+.2f} points, {verdict} the seeds' noise"
            ),
            f"{rounds} trainings of ltfn5 on MNIST in one process, peak memory": (
                f"{max(peaks.values()):,.0f} MB"
            ),
        },
        figures={"accuracies": found, "megabytes": peaks},
    )
