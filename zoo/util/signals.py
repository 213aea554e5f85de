"""Defer SIGINT and SIGTERM until the current work has ended."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class Received:
    """The number of the received signal, 0 if there was none."""

    signal: int = 0


@contextmanager
def deferred() -> Iterator[Received]:
    """Record SIGINT or SIGTERM instead of acting on it; a second signal acts as usual."""
    received = Received()

    def note(number: int, frame: FrameType | None) -> None:
        received.signal = number
        for name, handler in previous.items():
            signal.signal(name, handler)

    previous = {name: signal.signal(name, note) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for name, handler in previous.items():
            signal.signal(name, handler)
