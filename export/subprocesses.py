"""Run modules in subprocesses, which isolates their memory, crashes and output."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from zoo.errors import ZooError
from zoo.util import lifetime

_running: set[subprocess.Popen[str]] = set()
_lock = threading.Lock()


def run_module(module: str, *arguments: object) -> None:
    """Run ``python -m module arguments`` and wait for it; threads may run several at a time.

    Raises:
        ZooError: the subprocess failed; the message includes its last line of error output.
    """
    with _lock:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            env=os.environ | {lifetime.PARENT: str(os.getpid())},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            # A terminal sends Ctrl-C to a whole process group; this process ends its subprocesses.
            process_group=0,
        )
        _running.add(process)
    with process:
        try:
            _, errors = process.communicate()
        finally:
            process.kill()
            with _lock:
                _running.discard(process)
    if process.returncode < 0:
        raise ZooError(f"{module} was killed by signal {-process.returncode}")
    if process.returncode:
        lines = errors.strip().splitlines() or ["it printed no error message"]
        message = lines[-1].removeprefix(f"{module}: error: ")
        raise ZooError(f"{module} failed: {message}")


@contextmanager
def killed_on_interrupt() -> Iterator[None]:
    """Kill all subprocesses if a signal interrupts the block, so that no thread waits for them."""
    try:
        yield
    except KeyboardInterrupt:
        with _lock:
            for process in _running:
                process.kill()
        raise
