"""SIGINT and SIGTERM, deferred until the work at hand has ended."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class Received:
    """The signal that was received, 0 if none was."""

    signal: int = 0


@contextmanager
def deferred() -> Iterator[Received]:
    """Note SIGINT or SIGTERM instead of acting on it; a second one acts as usual."""
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
