"""Keep the standard streams usable: some callers close them, some lead to a full disk."""

from __future__ import annotations

import io
import os
import sys


def open_missing() -> None:
    """Open the null device in place of the standard streams that were closed before the start.

    The next file that is opened would take the descriptor of a closed stream, and receive what
    libraries write to standard error.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            stream = os.fdopen(number, "w", errors="backslashreplace", closefd=False)
            setattr(sys, name, stream)


def escape() -> None:
    """Write characters that the encoding of standard output lacks as escapes."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def tell(message: str) -> None:
    """Print a line to standard error, if that is possible; nothing else could be done."""
    try:
        print(message, file=sys.stderr, flush=True)
    except OSError:
        discard(2)


def discard(number: int) -> None:
    """Lead a standard stream to nowhere: Python's last flush of it would fail, and change the code.

    Args:
        number: its descriptor, 1 or 2.
    """
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, number)
    os.close(null)
