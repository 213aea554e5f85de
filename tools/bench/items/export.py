"""Exporting ltfn5 with the proof on all 10,000 test images."""

from __future__ import annotations

import tempfile

from export.formats import FORMATS
from tools.bench import whole
from tools.bench.models import run_folder
from tools.bench.results import Result, median


def measure(rounds: int) -> Result:
    """Time the whole command."""
    chosen = {
        "the usual formats": ",".join(each.name for each in FORMATS.values() if each.usual),
        "all formats": ",".join(FORMATS),
    }
    with tempfile.TemporaryDirectory() as out:
        asked = {
            name: [
                *("-m", "export", run_folder(), "--offline", "--formats", formats),
                *("--out", f"{out}/{name}"),
            ]
            for name, formats in chosen.items()
        }
        seconds, peaks = whole.take_turns(asked, rounds)
    return Result(
        title="python -m export, ltfn5, every file proven on all 10,000 test images, seconds",
        columns=["formats", "median (range)", "memory of the largest process"],
        rows=whole.rows(seconds, peaks),
        notes=f"{rounds} turns.",
        headlines={
            f"export of ltfn5 to {name}, with the whole proof": f"{median(seconds[name]):.0f} s"
            for name in chosen
        },
        figures={"seconds": seconds, "megabytes": peaks},
    )
