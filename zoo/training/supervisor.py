"""Run one of several workers as a child, and end it when another worker has ended.

TensorFlow itself reports the end of a worker within seconds when a collective operation fails, but
not to a chief that validates, and not while the workers still connect: there it holds Python's
lock, so that no thread of the worker could notice.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

from zoo.errors import WorkerError
from zoo.training.children import Children
from zoo.util.tf_config import Task, split_address

START_SECONDS = 600
"""Seconds that a worker waits for the others to start, and for one that does not answer."""

GRACE_SECONDS = 10.0
"""Seconds in which a worker may still end by itself, after another one has ended."""

NOTICE_SECONDS = 15.0
"""Seconds in which the end of another worker is noticed."""

AGAIN = "start all workers again, with --resume if the training had begun"
"""What to do when a worker has ended."""

_SECONDS = 2.0  # between two attempts to connect to the workers, and the timeout of each
_SECONDS_AT_START = 0.2  # between two attempts until all workers have started
_REFUSED_SECONDS = 5.0  # after which a worker that had started and refuses connections has ended


def run(task: Task, module: str) -> int:
    """Run this command as a child, and return its exit code; it ends when another worker ends.

    SIGINT and SIGTERM are passed on to it; they kill it while it connects to the others, and so
    does a second one, at least a second later.

    Args:
        task: this process among the workers.
        module: the module of the command; the child gets the arguments of this process.

    Raises:
        Interrupted: a signal ended the child before it saved its state.
        WorkerError: another worker has ended, or the child was killed.
    """
    others = _Others(task)
    with Children() as children:
        worker = children.start([sys.executable, "-m", module, *sys.argv[1:]], dict(os.environ))
        while not _has_ended(worker, others.pause):
            # A worker that has done its part may take some seconds to end.
            if (lost := others.find_ended()) and not _has_ended(worker, GRACE_SECONDS):
                raise WorkerError(f"{task.prefix}{lost}; {AGAIN}")
    children.raise_for_kill(worker, f"worker {task.number}", AGAIN)
    return worker.returncode


def _has_ended(process: subprocess.Popen, seconds: float) -> bool:
    """Wait for the end of a process; return whether it came."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


class _Others:
    """The other workers: one whose port refuses connections has ended.

    One that does not answer may be on an interrupted network, so it has more time.
    """

    def __init__(self, task: Task) -> None:
        self._addresses = dict(enumerate(task.addresses))
        del self._addresses[task.number]
        self._begin = time.monotonic()
        # When each worker that has started last accepted a connection, and since when one refuses.
        self._answered_at: dict[int, float] = {}
        self._refused_at: dict[int, float] = {}

    @property
    def pause(self) -> float:
        """Seconds until the next attempt; few at the start, to see also those that end soon."""
        return _SECONDS if len(self._answered_at) == len(self._addresses) else _SECONDS_AT_START

    def find_ended(self) -> str | None:
        """Try to connect to each worker; say which has ended or is silent, None if none."""
        for number, address in self._addresses.items():
            error = _connect(address)
            now = time.monotonic()
            if error is None:
                self._answered_at[number] = now
            if number in self._answered_at and isinstance(error, ConnectionError):
                since = self._refused_at.setdefault(number, now)
                if now - since >= _REFUSED_SECONDS:
                    return f"worker {number} at {address} ended"
            else:
                self._refused_at.pop(number, None)
            if now - self._answered_at.get(number, self._begin) > START_SECONDS:
                return f"worker {number} at {address} did not answer for {START_SECONDS} s"
        return None


def answers(address: str) -> bool:
    """Return whether a server accepts connections at ``host:port``."""
    return _connect(address) is None


def _connect(address: str) -> OSError | None:
    """Try to connect to ``host:port``; return the error, ``ConnectionError`` if it is refused."""
    try:
        socket.create_connection(split_address(address), timeout=_SECONDS).close()
    except OSError as error:
        return error
    return None
