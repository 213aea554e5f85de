"""Measure several programs in turns on one machine, each in a separate process that stays warm.

The programs are the contestants; what they measure, such as a batch size, is the course. A
machine's speed drifts by tens of percent within minutes, so only interleaved measurements compare.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack

_ANSWER = "measured "
_SETTLE_SECONDS = 0.2


def serve(measure: Callable[[str], float]) -> None:
    """Print one measurement for each course on standard input; called by a contestant."""
    for course in sys.stdin:
        print(f"{_ANSWER}{measure(course.strip())!r}", flush=True)


def run_interleaved(
    contestants: Mapping[str, Sequence[str]], courses: Iterable[str], rounds: int
) -> dict[str, dict[str, list[float]]]:
    """Return the measurements of every contestant on every course.

    Args:
        contestants: for each name, the module and its arguments, run with ``python -m``.
        courses: what to measure; the first round of each course is a warm-up and is not counted.
        rounds: how often each contestant is measured on each course, in turns.

    Returns:
        The measurements by course and contestant.
    """
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(_Contestant(command)) for name, command in contestants.items()
        }
        found: dict[str, dict[str, list[float]]] = {}
        for course in courses:
            for contestant in running.values():
                contestant.measure(course)
            found[course] = {name: [] for name in running}
            for turn in range(rounds):
                # The order rotates, so that each contestant starts some rounds.
                for name in _rotated(list(running), turn):
                    time.sleep(_SETTLE_SECONDS)
                    found[course][name].append(running[name].measure(course))
            print(f"  {course}: done", file=sys.stderr)
        return found


def _rotated(names: list[str], by: int) -> list[str]:
    at = by % len(names)
    return names[at:] + names[:at]


class _Contestant:
    """A process that measures on request."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = [sys.executable, "-m", *command]

    def __enter__(self) -> _Contestant:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.terminate()
        self._process.communicate()

    def measure(self, course: str) -> float:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{course}\n")
        self._process.stdin.flush()
        for line in self._process.stdout:  # libraries may print other lines
            if line.startswith(_ANSWER):
                return float(line.removeprefix(_ANSWER))
        raise RuntimeError(f"{' '.join(self._command)} exited without a measurement")
