"""Child processes that train, and end with the command that started them."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import ExitStack
from types import FrameType, TracebackType
from typing import IO

from zoo.errors import Interrupted, WorkerError
from zoo.util import lifetime, signals


class Children:
    """The processes that are started within a ``with`` block, at whose end they are killed.

    SIGINT and SIGTERM are passed on to them; a second signal, at least a second later, kills them.

    Attributes:
        processes: the processes in the order of their start.
    """

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen] = []
        self._received = 0
        self._passed = 0
        self._repetition = signals.Repetition()
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
        process = subprocess.Popen(
            command,
            env=environment | {lifetime.PARENT: str(os.getpid())},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            # A terminal sends Ctrl-C to all processes of its group; a child gets it from this one.
            process_group=0,
        )
        self.processes.append(process)
        if self._passed:  # while it started
            process.send_signal(self._passed)
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
        self._passed = signal.SIGKILL if self._received else number
        self._received = self._received or number
        for process in self.processes:
            process.send_signal(self._passed)
