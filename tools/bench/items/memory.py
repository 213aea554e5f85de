"""Peak memory of two workers that train on more pictures than fit into it."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tools.bench.results import Result
from zoo.errors import ZooError

_MODEL = "ltfn1"
_DATA = "gratings/million"
_PICTURES = 1_000_000
_PIXELS = 96 * 96
_WORKERS = 2
_STEPS = 10_000
_SECONDS = 0.2  # between two looks at the workers


def measure(rounds: int) -> Result:
    """Train once with the preparation of the dataset, then on the prepared one."""
    with tempfile.TemporaryDirectory() as folder:
        found = [_train(Path(folder)) for _ in range(rounds)]
        stored = sum(
            file.stat().st_size
            for file in (Path(folder) / "data").rglob("*")
            if file.is_file() and "decoded" not in file.parts
        )
    rows = [
        [
            "first, with the preparation" if number == 0 else f"{number + 1}",
            f"{seconds:,.0f} s",
            *(f"{peak / 1e9:.2f} GB" for peak in peaks),
        ]
        for number, (seconds, peaks) in enumerate(found)
    ]
    largest = max(max(peaks) for _, peaks in found)
    return Result(
        title="peak memory of a training on a million pictures",
        columns=["training", "time", *(f"peak of worker {n}" for n in range(_WORKERS))],
        rows=rows,
        notes=(
            f"{_MODEL} on {_PICTURES:,} grey pictures of 96x96 pixels (`tools.gratings`), with "
            f"{stored / 1e9:.1f} GB as PNG files in tfds and {_PICTURES * _PIXELS / 1e9:.1f} GB "
            f"decoded, for {_STEPS:,} steps of 100 pictures, with {_WORKERS} workers on one "
            "machine. The peak is the largest resident memory of the process, with mapped files "
            "and libraries. Worker 0 prepares the dataset and tests the network."
        ),
        headlines={
            "largest memory of a worker, one million pictures of 96x96": f"{largest / 1e9:.2f} GB"
        },
        figures={"runs": found},
    )


def _train(folder: Path) -> tuple[float, list[int]]:
    """Train, and return the seconds and the peak of each worker in bytes."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "zoo.train", _MODEL, "--import", "tools.gratings"),
            *("--data", _DATA, "--data-dir", f"{folder}/data", "--force"),
            *("--steps", f"{_STEPS}", "--out", f"{folder}/run", "--workers", f"{_WORKERS}"),
        ],
        stdout=subprocess.DEVNULL,
    )
    peaks: dict[int, int] = {}
    while process.poll() is None:
        for worker in _children(process.pid):
            peaks[worker] = max(peaks.get(worker, 0), _peak(worker))
        time.sleep(_SECONDS)
    if process.returncode or len(peaks) != _WORKERS:
        raise ZooError(f"the training ended with code {process.returncode}")
    return time.perf_counter() - begin, [peaks[worker] for worker in sorted(peaks)]


def _children(process: int) -> list[int]:
    try:
        return [int(each) for each in _read(process, f"task/{process}/children").split()]
    except OSError:  # it has ended
        return []


def _peak(process: int) -> int:
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", _read(process, "status"))
    except OSError:
        return 0
    return 1024 * int(found[1]) if found else 0


def _read(process: int, file: str) -> str:
    return (Path("/proc") / str(process) / file).read_text()
