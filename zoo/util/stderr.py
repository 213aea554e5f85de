"""Hold back what libraries write to the standard error file."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
from collections.abc import Iterator

# Of two threads that overlap, the second would keep the first one's file as standard error.
_lock = threading.RLock()


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Hold back what libraries write to the standard error file; show it only if they fail.

    Some write before they heed any log level, or have none. One thread at a time holds it back.
    """
    sys.stderr.flush()
    with _lock, tempfile.TemporaryFile() as chatter:
        kept = os.dup(2)
        os.dup2(chatter.fileno(), 2)
        try:
            yield
        except BaseException:
            chatter.seek(0)
            os.write(kept, chatter.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
