"""End a subprocess when its parent has ended, even if the parent was killed."""

from __future__ import annotations

import os
import threading
import time

PARENT = "ZOO_PARENT"
"""The environment variable with the process ID of the parent."""

_SECONDS = 0.5


def end_with_parent() -> None:
    """Watch the parent that the environment names, if any, in a thread."""
    if parent := os.environ.get(PARENT):
        threading.Thread(target=_watch, args=(int(parent),), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_SECONDS)
    os._exit(1)
