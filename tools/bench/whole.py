"""Measure whole processes: seconds from start to exit, and the memory of the largest."""

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
    """The measurements of one finished process.

    Attributes:
        seconds: the time from its start to its end.
        megabytes: peak resident size of it or of the largest process it started; at least that
            of the measuring process, which should be small.
        output: its standard output.
    """

    seconds: float
    megabytes: float
    output: str


def run(arguments: Sequence[object], *, until: str | None = None) -> Whole:
    """Run ``python`` with the given arguments and measure the process.

    Args:
        arguments: the arguments of the interpreter.
        until: kill the process at the first output line that starts with this text.

    Raises:
        RuntimeError: the process failed or was killed.
    """
    command = [sys.executable, *map(str, arguments)]
    begin = time.perf_counter()
    with tempfile.TemporaryFile("w+") as complaints:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints, text=True)
        assert process.stdout
        lines, ended = [], False
        for output in process.stdout:
            lines.append(output)
            if until is not None and output.startswith(until):
                process.kill()
                ended = True
                break
        process.stdout.close()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        # Without it, Popen would wait for the process again.
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in {0, 2} and not ended:  # 2: bad argument
            complaints.seek(0)
            raise RuntimeError(
                f"{' '.join(command)} exited with {process.returncode}: {complaints.read()}"
            )
    return Whole(seconds, usage.ru_maxrss / 1024, "".join(lines))


def take_turns(
    asked: Mapping[str, Sequence[object]], rounds: int, *, until: str | None = None
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Run the commands in turns; return each one's seconds of all rounds and peak megabytes."""
    turns = [{name: run(line, until=until) for name, line in asked.items()} for _ in range(rounds)]
    seconds = {name: [turn[name].seconds for turn in turns] for name in asked}
    return seconds, {name: max(turn[name].megabytes for turn in turns) for name in asked}


def rows(seconds: Mapping[str, Sequence[float]], peaks: Mapping[str, float]) -> list[list[str]]:
    """Return the table rows for the results of ``take_turns``."""
    return [[name, spread(seconds[name]), f"{peaks[name]:,.0f} MB"] for name in seconds]
