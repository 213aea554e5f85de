"""Run a module in a subprocess, which isolates its memory, crashes and output."""

from __future__ import annotations

import subprocess
import sys

from zoo.errors import ZooError


def run_module(module: str, *arguments: object) -> None:
    """Run ``python -m module arguments`` and wait for it.

    Raises:
        ZooError: the subprocess failed; the message includes its last line of error output.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode < 0:
        raise ZooError(f"{module} was killed by signal {-done.returncode}")
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it printed no error message"]
        message = lines[-1].removeprefix(f"{module}: error: ")
        raise ZooError(f"{module} failed: {message}")
