"""Handle SIGINT and SIGTERM: end a command in one line, or defer the end until work is saved."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


class Terminated(KeyboardInterrupt):
    """SIGTERM was received; like Ctrl-C, it passes through every ``except Exception``."""


def number_of(interruption: KeyboardInterrupt) -> int:
    """Return the number of the signal that raised an exception."""
    return signal.SIGTERM if isinstance(interruption, Terminated) else signal.SIGINT


def end_at_once() -> None:
    """Make SIGINT and SIGTERM end this process at once: it has just begun, and has no work."""

    def end(number: int, frame: FrameType | None) -> None:
        words = {signal.SIGINT: b"interrupted\n", signal.SIGTERM: b"terminated\n"}
        os.write(sys.stderr.fileno(), words[signal.Signals(number)])
        os._exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:  # as in background jobs of a shell
            signal.signal(number, end)


def raise_exceptions() -> None:
    """Make SIGINT raise ``KeyboardInterrupt``, and SIGTERM ``Terminated``.

    The exception ends all work in an orderly way. A second SIGTERM ends the process at once.
    """

    def terminate(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise Terminated

    handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: terminate}
    for number, handler in handlers.items():
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


@dataclass
class Received:
    """The number of the received signal, 0 if there was none."""

    signal: int = 0


@contextmanager
def deferred() -> Iterator[Received]:
    """Record SIGINT or SIGTERM instead of acting on it; a second signal acts as usual.

    If the block ends without an exception, the signal acts then.
    """
    received = Received()

    def note(number: int, frame: FrameType | None) -> None:
        received.signal = number
        restore()

    def restore() -> None:
        for name, handler in previous.items():
            signal.signal(name, handler)

    previous = {name: signal.signal(name, note) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        restore()
    if received.signal:
        signal.raise_signal(received.signal)
