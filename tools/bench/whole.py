"""Whole processes, from their start to their end: seconds, and the memory of the largest."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Whole:
    """One process that ended.

    Attributes:
        seconds: from its start to its end.
        seconds_to: from its start to the first line that began as asked; the whole time else.
        megabytes: peak resident size of it or of the largest process it started; no less than
            that of the process that asks, which should be small.
        output: what it wrote to standard output.
    """

    seconds: float
    seconds_to: float
    megabytes: float
    output: str


def run(arguments: Sequence[object], *, until: str = "", stop: bool = False) -> Whole:
    """Run ``python`` with these arguments and measure it.

    Args:
        arguments: of the interpreter.
        until: the beginning of the line whose moment is asked for.
        stop: whether to end the process there.

    Raises:
        RuntimeError: it failed, or died.
    """
    begin = time.perf_counter()
    line = [sys.executable, *map(str, arguments)]
    with tempfile.TemporaryFile("w+") as complaints:
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=complaints, text=True)
        assert process.stdout
        lines, reached = [], None
        for told in process.stdout:
            lines.append(told)
            if until and reached is None and told.startswith(until):
                reached = time.perf_counter() - begin
                if stop:
                    process.kill()
        process.stdout.close()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        # Popen would wait for it once more.
        process.returncode = os.waitstatus_to_exitcode(status)
        killed = reached is not None and stop
        if process.returncode not in {0, 2} and not killed:  # 2 is the answer to a bad argument
            complaints.seek(0)
            raise RuntimeError(
                f"{' '.join(line)} left with {process.returncode}: {complaints.read()}"
            )
    return Whole(seconds, reached or seconds, usage.ru_maxrss / 1024, "".join(lines))
