"""Notice that another worker ended: its port no longer accepts connections.

TensorFlow itself reports it within seconds when a collective operation fails, but not while the
workers still connect, and not to a chief that validates.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator

from etils import epy

from zoo.errors import WorkerError, ZooError, first_line
from zoo.util import streams
from zoo.util.tf_config import Task

with epy.lazy_imports():
    import tensorflow as tf

START_SECONDS = 600
"""Seconds that a worker waits for the others to start."""

_SECONDS = 2.0  # between two attempts to connect to a worker, and the timeout of each
_ATTEMPTS = 3  # that fail one after another
_MOST_SECONDS = 15.0  # until the end of a worker is noticed


@contextlib.contextmanager
def member(task: Task) -> Iterator[None]:
    """Make this process a worker within the block: it ends when another worker ends.

    Only the chief prints to standard output. Error messages begin with the number of the worker,
    unless it is the chief.

    Raises:
        WorkerError: an operation of TensorFlow failed because another worker ended.
    """
    name = f"worker {task.number}: " if task.number else ""
    watch = _Watch(task, name)
    watch.start()
    with contextlib.ExitStack() as stack:
        if task.number:
            null = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            stack.enter_context(contextlib.redirect_stdout(null))
        try:
            yield
        except ZooError as error:
            error.args = (f"{name}{error}",)
            raise
        except OSError as error:
            error.strerror = f"{name}{error.strerror or error}"
            raise
        except Exception as error:
            if not isinstance(error, _lost()):
                raise
            # If a worker ended, the watch ends this process in this time, and names the worker.
            time.sleep(_MOST_SECONDS)
            raise WorkerError(f"{name}{first_line(error)}") from error
        finally:
            watch.stop()


def _lost() -> tuple[type[Exception], ...]:
    """Return the errors of an operation that another worker did not complete."""
    errors = tf.errors
    return (
        errors.AbortedError,
        errors.CancelledError,
        errors.DeadlineExceededError,
        errors.FailedPreconditionError,
        errors.InternalError,
        errors.UnavailableError,
        errors.UnknownError,
    )


class _Watch(threading.Thread):
    """A thread that ends this process when another worker has ended."""

    def __init__(self, task: Task, prefix: str) -> None:
        super().__init__(daemon=True)
        self._prefix = prefix
        self._others = {
            number: address
            for number, address in enumerate(task.addresses)
            if number != task.number
        }
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End the watch: this worker has done its part."""
        self._stopped.set()

    def run(self) -> None:
        """Try to connect to each other worker again and again."""
        begin = time.monotonic()
        failures: dict[int, int] = {}  # in a row, of each worker that has started
        while not self._stopped.wait(_SECONDS):
            for number, address in self._others.items():
                if _answers(address):
                    failures[number] = 0
                elif number in failures:
                    failures[number] += 1
                    if failures[number] == _ATTEMPTS:
                        self._leave(f"worker {number} at {address} ended")
                elif time.monotonic() - begin > START_SECONDS:
                    self._leave(
                        f"worker {number} at {address} did not start within {START_SECONDS} s"
                    )

    def _leave(self, reason: str) -> None:
        # Nothing interrupts the main thread in TensorFlow, so the process ends from here.
        if not self._stopped.is_set():
            streams.tell(
                f"zoo.train: error: {self._prefix}{reason}; start all workers again with --resume"
            )
            atexit._run_exitfuncs()
            os._exit(WorkerError.exit_code)


def _answers(address: str) -> bool:
    """Return whether a server accepts connections at ``host:port``."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=_SECONDS).close()
    except OSError:
        return False
    return True
