"""Time from the start of a process to its exit, or to its first training step."""

from __future__ import annotations

import tempfile

from tools.bench import whole
from tools.bench.results import Result, median

_TRAIN = ["-m", "zoo.train", "ltfn5", "--data", "mnist", "--offline", "--steps", "1", "--force"]


def measure(rounds: int) -> Result:
    """Time the commands, interleaved with the TensorFlow import that most of them avoid."""
    with tempfile.TemporaryDirectory() as out:
        asked = {
            "zoo.train --help": ["-m", "zoo.train", "--help"],
            "zoo.list": ["-m", "zoo.list"],
            "export --help": ["-m", "export", "--help"],
            "zoo.train with an unknown network": ["-m", "zoo.train", "ltfn"],
            "zoo.train to its first step": [*_TRAIN, "--out", f"{out}/run"],
            "(import tensorflow, for comparison)": ["-c", "import tensorflow"],
        }
        whole.run(asked["zoo.train to its first step"])  # prepares the dataset
        seconds, peaks = whole.take_turns(asked, rounds, until="Step     0")
    return Result(
        title="from the start of a process, seconds",
        columns=["command", "median (range)", "peak memory"],
        rows=whole.rows(seconds, peaks),
        notes=f"{rounds} rounds with the dataset already prepared; peak memory until then.",
        headlines={
            "`zoo.list`, whole process": f"{median(seconds['zoo.list']):.2f} s",
            "`zoo.train ltfn5` on MNIST, from process start to the first step": (
                f"{median(seconds['zoo.train to its first step']):.1f} s"
            ),
        },
        figures={"seconds": seconds, "megabytes": peaks},
    )
