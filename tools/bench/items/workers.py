"""Training speed of two workers with a core each, compared with one worker with one core."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.bench.results import Result, median
from zoo import recipes
from zoo.models import registry
from zoo.runs import Run, records

_MODELS = ("ltfn3", "ltfn5", "compact-10k")
_STEPS = 201  # the first 100 are not measured
_BYTES = 4  # of a gradient in float32


def measure(rounds: int) -> Result:
    """Train with one and two workers alternately."""
    found: dict[str, dict[str, list[float]]] = {model: {"1": [], "2": []} for model in _MODELS}
    for _ in range(rounds):
        for model, rates in found.items():
            for count, values in rates.items():
                values.append(_images_per_second(model, int(count)))
    rows, headlines = [], {}
    for model, rates in found.items():
        costs = registry.get_costs(model)
        one, two = median(rates["1"]), median(rates["2"])
        adds = costs.multiply_adds * recipes.get_recipe("quick").batch_size
        rows.append(
            [
                model,
                f"{_BYTES * costs.parameters:,}",
                f"{adds / (_BYTES * costs.parameters):,.0f}",
                f"{one:,.0f}",
                f"{two:,.0f}",
                f"{two / (2 * one):.2f}",
            ]
        )
        headlines[f"training {model}: two workers with a core each / twice one worker"] = (
            f"{two / (2 * one):.2f}"
        )
    return Result(
        title="training with one and with two workers, images per second",
        columns=[
            "network",
            "bytes of gradients a step",
            "multiply-adds of a batch, for a byte",
            "1 worker, 1 core",
            "2 workers, 1 core each",
            "efficiency",
        ],
        rows=rows,
        notes=(
            f"Medians of {rounds} rounds in float32 on the digits, in batches of 100 images. In "
            "each step, the workers add up the gradients of all weights, which costs relatively "
            "more if there are few multiply-adds for each byte of them. The workers are on one "
            "machine, so no network between machines is part of it. Efficiency is the speed of two "
            "workers divided by twice that of one."
        ),
        headlines=headlines,
        figures=found,
    )


def _images_per_second(model: str, workers: int) -> float:
    cores = sorted(os.sched_getaffinity(0))[:workers]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [
                *(sys.executable, "-m", "zoo.train", model, "--data", "digits", "--offline"),
                *("--steps", f"{_STEPS}", "--precision", "float32", "--out", f"{folder}/run"),
                *("--set", "shards=1", "--set", "threads=1", "--workers", f"{workers}"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
        run = Run(Path(folder) / "run")
        rows = {row["step"]: row for row in records.read_metrics(run.metrics) if "cost" in row}
        batch_size = run.read_result()["recipe"]["batch_size"]
    first, last = rows[100], rows[_STEPS - 1]
    images = batch_size * (last["step"] - first["step"])
    return images / (last["seconds"] - first["seconds"])
