"""Child processes that train, and end with the command that started them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import IO

from zoo.errors import Interrupted, WorkerError
from zoo.util import lifetime, signals


def start(
    command: list[str],
    environment: dict[str, str],
    stdout: int | None = None,
    stderr: IO[bytes] | None = None,
) -> subprocess.Popen:
    """Start a command that ends when this process ends.

    Args:
        command: the program and its arguments.
        environment: its environment variables.
        stdout: its standard output; by default, that of this process.
        stderr: its standard error; by default, that of this process.
    """
    return subprocess.Popen(
        command,
        env=environment | {lifetime.PARENT: str(os.getpid())},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        # A terminal sends Ctrl-C to all processes of its group; a child gets it from this one.
        process_group=0,
    )


@contextmanager
def signals_passed_on(processes: list[subprocess.Popen]) -> Iterator[list[int]]:
    """Pass SIGINT and SIGTERM on to children, and kill them at the second; yield those received.

    A signal that arrives while the children start reaches those that have started.
    """
    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        received.append(number)
        for process in processes:
            process.send_signal(number if len(received) == 1 else signal.SIGKILL)

    with signals.handled_by(handle):
        yield received


def raise_for_kill(
    process: subprocess.Popen, name: str, received: list[int], following: str
) -> None:
    """Raise an error if a signal ended a child that did not handle it.

    Args:
        process: the child, which has ended.
        name: what the message calls it.
        received: the signals that this process has received.
        following: what to do next.

    Raises:
        Interrupted: this process received one, and passed it on or killed the child.
        WorkerError: the child was killed by another process, or by its own fault.
    """
    if process.returncode < 0 and received:
        raise Interrupted("interrupted", received[0])
    if process.returncode < 0:
        killer = signal.Signals(-process.returncode).name
        raise WorkerError(f"{name} was killed by {killer}; {following}")


def kill(processes: list[subprocess.Popen]) -> None:
    """Kill children that still run, and wait for their end."""
    for process in processes:
        process.kill()
        process.wait()
