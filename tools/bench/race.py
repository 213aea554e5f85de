"""Contestants take turns on one machine, each in a process of its own that stays warm meanwhile.

A machine's speed drifts by tens of percent within minutes; what ran side by side can be compared.
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
    """Answer each course on standard input with one measurement; the contestant's side."""
    for course in sys.stdin:
        print(f"{_ANSWER}{measure(course.strip())!r}", flush=True)


def race(
    contestants: Mapping[str, Sequence[str]], courses: Iterable[str], rounds: int
) -> dict[str, dict[str, list[float]]]:
    """Return the measurements of every contestant on every course.

    Args:
        contestants: of each name, the module and arguments that ``python -m`` starts.
        courses: what each is asked to do; a first round of each warms up and is not counted.
        rounds: how often each contestant is measured on each course, in turns.

    Returns:
        Of each course and contestant, its measurements.
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
                # None always follows the same one, whose threads may spin for a while.
                for name in _rotated(list(running), turn):
                    time.sleep(_SETTLE_SECONDS)
                    found[course][name].append(running[name].measure(course))
            print(f"  {course}: done", file=sys.stderr)
        return found


def _rotated(names: list[str], by: int) -> list[str]:
    at = by % len(names)
    return names[at:] + names[:at]


class _Contestant:
    """A process that measures when it is told to."""

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
        for line in self._process.stdout:  # libraries may print lines of their own
            if line.startswith(_ANSWER):
                return float(line.removeprefix(_ANSWER))
        raise RuntimeError(f"{' '.join(self._command)} ended without an answer")
