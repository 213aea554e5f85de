"""Whole processes, from their start to their end: seconds, and the memory of the largest."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Whole:
    """One process that ended.

    Attributes:
        seconds: from its start to its end.
        seconds_to: from its start to the first line that began as asked; the whole time else.
        megabytes: peak resident size of it or of the largest process it started.
        output: what it wrote to standard output.
    """

    seconds: float
    seconds_to: float
    megabytes: float
    output: str


def run(arguments: Sequence[object], *, until: str = "", cwd: Path | None = None) -> Whole:
    """Run ``python`` with these arguments and measure it.

    Args:
        arguments: of the interpreter.
        until: the beginning of the line whose moment is asked for.
        cwd: where it runs.

    Raises:
        RuntimeError: it failed, or died.
    """
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *map(str, arguments)], stdout=subprocess.PIPE, text=True, cwd=cwd
    )
    assert process.stdout
    lines, reached = [], None
    for line in process.stdout:
        lines.append(line)
        if until and reached is None and line.startswith(until):
            reached = time.perf_counter() - begin
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    # Popen would wait for it once more.
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in {0, 2}:  # 2 is the answer to a bad argument
        raise RuntimeError(f"{' '.join(map(str, arguments))} left with {process.returncode}")
    return Whole(seconds, reached or seconds, usage.ru_maxrss / 1024, "".join(lines))
