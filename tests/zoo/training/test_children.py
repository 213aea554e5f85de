"""Test that child processes get the signals of their parent, once, and end with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from zoo.errors import Interrupted, WorkerError
from zoo.training.children import Children

# Prints the signals of half a second, and then waits if there were several.
CHILD = """
import signal, time
from zoo.training import children
received = []
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, frame: received.append(number))
children.report_ready()
print("ready", flush=True)
while not received:
    time.sleep(0.05)
time.sleep(0.5)
print(received, flush=True)
time.sleep(60 * len(received) - 60)
"""


@pytest.fixture
def children() -> Iterator[Children]:
    """Yield children, whose output is closed at the end."""
    children = Children()
    yield children
    for process in children.processes:
        assert process.stdout
        process.stdout.close()


def _start(children: Children, code: str) -> subprocess.Popen:
    return children.start([sys.executable, "-c", code], dict(os.environ), subprocess.PIPE)


def _line(process: subprocess.Popen) -> bytes:
    assert process.stdout
    return process.stdout.readline()


@pytest.mark.parametrize("times", [1, 3])
def test_a_signal_that_arrives_several_times_at_once_is_passed_on_once(
    times: int, children: Children
) -> None:
    with children:
        child = _start(children, CHILD)
        assert _line(child) == b"ready\n"
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.05)
        assert _line(child) == b"[15]\n"
        assert child.wait(10) == 0


def test_a_second_signal_kills(children: Children) -> None:
    with children:
        child = _start(children, CHILD.replace("received.append(number)", "None"))
        assert _line(child) == b"ready\n"
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1.1)
        assert child.wait(10) == -signal.SIGKILL
        with pytest.raises(Interrupted, match="interrupted"):
            children.raise_for_kill(child, "it", "again")


def test_a_signal_kills_a_child_that_cannot_handle_it_yet(children: Children) -> None:
    with children:
        ready = _start(children, CHILD)
        assert _line(ready) == b"ready\n"
        connecting = _start(children, CHILD.replace("children.report_ready()", ""))
        assert _line(connecting) == b"ready\n"
        os.kill(os.getpid(), signal.SIGINT)
        assert connecting.wait(10) == -signal.SIGKILL
        assert _line(ready) == b"[2]\n"
        with pytest.raises(Interrupted, match="interrupted"):
            children.raise_for_kill(connecting, "it", "again")


def test_a_signal_while_a_child_starts_kills_it(
    children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    popen: Any = subprocess.Popen

    def start_then_signal(*arguments: Any, **options: Any) -> subprocess.Popen:
        process = popen(*arguments, **options)
        os.kill(os.getpid(), signal.SIGTERM)
        return process

    with children:
        monkeypatch.setattr(subprocess, "Popen", start_then_signal)
        child = _start(children, CHILD)
        assert child.wait(10) == -signal.SIGKILL


def test_children_are_killed_at_the_end_of_the_block(children: Children) -> None:
    with children:
        child = _start(children, CHILD)
    assert child.returncode == -signal.SIGKILL
    with pytest.raises(WorkerError, match="it was killed by SIGKILL; again"):
        children.raise_for_kill(child, "it", "again")
