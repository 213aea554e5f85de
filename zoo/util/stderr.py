"""Capture what libraries write to standard error."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
import tempfile
import threading
from collections.abc import Iterator

# Without the lock, a second thread would restore the first one's file as standard error.
_lock = threading.RLock()


@contextlib.contextmanager
def captured() -> Iterator[None]:
    """Capture what libraries write to standard error; print it only if the block raises.

    Some libraries write before they read their log level, or have no log level. Only one thread can
    capture at a time. If a library ends the process, as TensorFlow does on a processor without AVX,
    what it wrote is lost, but a stack trace is printed.
    """
    sys.stderr.flush()
    with _lock, tempfile.TemporaryFile() as chatter:
        kept = os.dup(2)
        os.dup2(chatter.fileno(), 2)
        watched = not faulthandler.is_enabled()
        if watched:
            faulthandler.enable(kept)
        try:
            yield
        except Exception:
            chatter.seek(0)
            os.write(kept, chatter.read())
            raise
        finally:
            if watched:
                faulthandler.disable()
            os.dup2(kept, 2)
            os.close(kept)
