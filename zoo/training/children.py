"""Child processes that train, and end with the command that started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
from contextlib import ExitStack
from multiprocessing.connection import Connection
from types import FrameType, TracebackType
from typing import IO

from zoo.errors import Interrupted, WorkerError
from zoo.util import lifetime, signals

_READY = "ZOO_READY"  # environment variable with a descriptor, which a ready child closes


def report_ready() -> None:
    """Report to the parent, if there is one, that this process handles SIGINT and SIGTERM."""
    if descriptor := os.environ.pop(_READY, None):
        os.close(int(descriptor))


class Children:
    """The processes that are started within a ``with`` block, at whose end they are killed.

    SIGINT and SIGTERM are passed on to those that have reported that they are ready. The others
    are killed: they have nothing to save, and Python handles no signal while TensorFlow connects
    the workers. A second signal, at least a second later, kills all.

    Attributes:
        processes: the processes in the order of their start.
    """

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen] = []
        self._received = 0
        self._repetition = signals.Repetition()
        # By process ID; a process that is ready has closed its end.
        self._reports: dict[int, Connection] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Children:
        self._stack.enter_context(signals.handled_by(self._pass_on))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._stack:
            for process in self.processes:
                process.kill()
                process.wait()

    def start(
        self,
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
        report, end = multiprocessing.Pipe(duplex=False)
        of_child = {lifetime.PARENT: str(os.getpid()), _READY: str(end.fileno())}
        with end:
            process = subprocess.Popen(
                command,
                env=environment | of_child,
                pass_fds=[end.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                # A terminal sends Ctrl-C to all processes of its group; a child gets it from here.
                process_group=0,
            )
        self._reports[process.pid] = report
        self.processes.append(process)
        if self._received:  # while it started
            process.kill()
        return process

    def raise_for_kill(self, process: subprocess.Popen, name: str, following: str) -> None:
        """Raise an error if a signal ended a process that did not handle it.

        Args:
            process: one that has ended.
            name: what the message calls it.
            following: what to do next.

        Raises:
            Interrupted: this process received a signal, and passed it on or killed the other.
            WorkerError: it was killed by another process, or by its own fault.
        """
        if process.returncode < 0 and self._received:
            raise Interrupted("interrupted", self._received)
        if process.returncode < 0:
            killer = signal.Signals(-process.returncode).name
            raise WorkerError(f"{name} was killed by {killer}; {following}")

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        if self._repetition.is_same():
            return
        is_second = bool(self._received)
        self._received = self._received or number
        for process in self.processes:
            if is_second or not self._reports[process.pid].poll():
                process.kill()
            else:
                process.send_signal(number)
