"""Whole processes, from their start to their end: seconds, and the memory of the largest."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tools.bench.results import spread


@dataclass(frozen=True)
class Whole:
    """One process that ended.

    Attributes:
        seconds: from its start to its end.
        megabytes: peak resident size of it or of the largest process it started; no less than
            that of the process that asks, which should be small.
        output: what it wrote to standard output.
    """

    seconds: float
    megabytes: float
    output: str


def run(arguments: Sequence[object], *, until: str | None = None) -> Whole:
    """Run ``python`` with these arguments and measure it.

    Args:
        arguments: of the interpreter.
        until: end the process at the first line of its output that begins so.

    Raises:
        RuntimeError: it failed, or died.
    """
    line = [sys.executable, *map(str, arguments)]
    begin = time.perf_counter()
    with tempfile.TemporaryFile("w+") as complaints:
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=complaints, text=True)
        assert process.stdout
        lines, ended = [], False
        for told in process.stdout:
            lines.append(told)
            if until is not None and told.startswith(until):
                process.kill()
                ended = True
                break
        process.stdout.close()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        # Popen would wait for it once more.
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in {0, 2} and not ended:  # 2 is the answer to a bad argument
            complaints.seek(0)
            raise RuntimeError(
                f"{' '.join(line)} left with {process.returncode}: {complaints.read()}"
            )
    return Whole(seconds, usage.ru_maxrss / 1024, "".join(lines))


def take_turns(
    asked: Mapping[str, Sequence[object]], rounds: int, *, until: str | None = None
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Return of each command the seconds of every round, and the most megabytes."""
    turns = [{name: run(line, until=until) for name, line in asked.items()} for _ in range(rounds)]
    seconds = {name: [turn[name].seconds for turn in turns] for name in asked}
    return seconds, {name: max(turn[name].megabytes for turn in turns) for name in asked}


def rows(seconds: Mapping[str, Sequence[float]], peaks: Mapping[str, float]) -> list[list[str]]:
    """Return a table's lines of what ``take_turns`` found."""
    return [[name, spread(seconds[name]), f"{peaks[name]:,.0f} MB"] for name in seconds]
