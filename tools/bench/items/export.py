"""Time to export ltfn5 with the proof on all 10,000 test images."""

from __future__ import annotations

from tools.bench import whole
from tools.bench.models import exports, run_folder
from tools.bench.results import Result, median

_ALL = "all formats"


def measure(rounds: int) -> Result:
    """Time the whole export command."""
    command = ["-m", "export", run_folder(), "--offline", "--formats", "all", "--out", exports()]
    seconds, peaks = whole.take_turns({_ALL: command}, rounds)
    return Result(
        title="python -m export, ltfn5, every file proven on all 10,000 test images, seconds",
        columns=["formats", "median (range)", "memory of the largest process"],
        rows=whole.rows(seconds, peaks),
        notes=f"{rounds} rounds.",
        headlines={
            f"export of ltfn5 to {_ALL}, with the whole proof": f"{median(seconds[_ALL]):.0f} s"
        },
        figures={"seconds": seconds, "megabytes": peaks},
    )
