"""End a subprocess when its parent has ended, even if the parent was killed."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

PARENT = "ZOO_PARENT"
"""The environment variable with the process ID of the parent."""

_SECONDS = 0.5
_PR_SET_PDEATHSIG = 1  # of Linux's prctl.h


def has_parent() -> bool:
    """Return whether this is a subprocess that ends with its parent."""
    return os.environ.get(PARENT, "").isdecimal()


def end_with_parent() -> None:
    """Make this process end when the parent that the environment names, if any, has ended."""
    if not has_parent():
        return
    parent = int(os.environ[PARENT])
    if sys.platform == "linux":
        # Also while a library holds Python's lock, which stops the thread.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_SECONDS)
    os._exit(1)
