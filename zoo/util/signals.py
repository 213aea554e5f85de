"""Handle SIGINT and SIGTERM: end a command in one line, or defer the end until work is saved."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

_SECONDS = 1.0

_SAME_SECONDS = 1.0


class Repetition:
    """Recognizes that a signal arrives again, not a second one.

    systemd, SLURM or a container may send a signal to all processes, and one of them passes it on
    to another. Two within a second are therefore the same one.
    """

    def __init__(self) -> None:
        self._begin = -math.inf

    def is_same(self) -> bool:
        """Return whether a signal that has just arrived is the latest one again."""
        if time.monotonic() - self._begin < _SAME_SECONDS:
            return True
        self._begin = time.monotonic()
        return False


class Terminated(KeyboardInterrupt):
    """SIGTERM was received; like Ctrl-C, it passes through every ``except Exception``."""


def number_of(interruption: KeyboardInterrupt) -> int:
    """Return the number of the signal that raised an exception."""
    return signal.SIGTERM if isinstance(interruption, Terminated) else signal.SIGINT


def _handled() -> list[signal.Signals]:
    """Return which of SIGINT and SIGTERM to handle: a shell's background jobs ignore SIGINT.

    Outside of the main thread Python allows no handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        return []
    return [
        number
        for number in (signal.SIGINT, signal.SIGTERM)
        if signal.getsignal(number) != signal.SIG_IGN
    ]


def guard_imports() -> None:
    """Make SIGINT and SIGTERM end a command that is still being imported in one line.

    It has no work to save, so it ends at once. This changes nothing in other programs that import
    the package.
    """
    # While ``python -m`` imports the package of a module, the program's name is "-m".
    if sys.argv[:1] != ["-m"]:
        return
    module = sys.orig_argv[sys.orig_argv.index("-m") + 1] if "-m" in sys.orig_argv else ""
    if module.split(".")[0] not in ("zoo", "export"):
        return

    def end(number: int, frame: FrameType | None) -> None:
        words = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
        # It may be closed, or lead to a full disk.
        with suppress(OSError):
            os.write(2, f"{module}: {words[signal.Signals(number)]}\n".encode())
        os._exit(128 + number)

    for number in _handled():
        signal.signal(number, end)


def raise_exceptions() -> None:
    """Make SIGINT raise ``KeyboardInterrupt``, and SIGTERM ``Terminated``, until it is handled.

    Python drops an exception that is raised in a destructor or a callback of the garbage collector,
    and TensorFlow one that is raised while it imports a module from C++.
    It is therefore raised again every second, except while it propagates and ``finally`` blocks
    run, which nothing should interrupt. ``stop_raising`` ends this.
    """
    exceptions = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}
    received = KeyboardInterrupt
    repetition = Repetition()

    def first(number: int, frame: FrameType | None) -> None:
        nonlocal received
        if repetition.is_same():
            return
        received = exceptions[signal.Signals(number)]
        signal.setitimer(signal.ITIMER_REAL, _SECONDS, _SECONDS)
        raise received

    def again(number: int, frame: FrameType | None) -> None:
        if not isinstance(sys.exception(), KeyboardInterrupt):
            raise received

    def report(dropped: sys.UnraisableHookArgs) -> None:
        if not _comes_from_signal(dropped.exc_value):
            sys.__unraisablehook__(dropped)

    for number in _handled():
        signal.signal(number, first)
    signal.signal(signal.SIGALRM, again)
    sys.unraisablehook = report


def _comes_from_signal(exception: BaseException | None) -> bool:
    """Return whether an exception is a ``KeyboardInterrupt`` or was caused by one."""
    while exception is not None and not isinstance(exception, KeyboardInterrupt):
        exception = exception.__cause__
    return exception is not None


def stop_raising() -> None:
    """End the repetition of ``raise_exceptions``: the exception was handled."""
    signal.setitimer(signal.ITIMER_REAL, 0)


def ignore() -> None:
    """Ignore SIGINT and SIGTERM from now on: the command has ended, Python is shutting down."""
    stop_raising()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Call the handler at SIGINT or SIGTERM within the block."""
    previous = {name: signal.signal(name, handler) for name in _handled()}
    try:
        yield
    finally:
        for name, before in previous.items():
            signal.signal(name, before)


@dataclass
class Received:
    """The number of the received signal, 0 if there was none."""

    signal: int = 0


@contextmanager
def deferred() -> Iterator[Received]:
    """Record SIGINT or SIGTERM instead of acting on it; another one a second later acts as usual.

    If the block ends without an exception, the signal acts then.
    """
    received = Received()

    repetition = Repetition()

    def note(number: int, frame: FrameType | None) -> None:
        if repetition.is_same():
            return
        if received.signal:
            restore()
            signal.raise_signal(number)
        received.signal = number

    def restore() -> None:
        for name, handler in previous.items():
            signal.signal(name, handler)

    previous = {name: signal.signal(name, note) for name in _handled()}
    try:
        yield received
    finally:
        restore()
    if received.signal:
        signal.raise_signal(received.signal)
