"""Test that a full disk is an error that names the file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

# The size of a file has a limit, as if the disk were full.
PROGRAM = """
import resource, sys
from pathlib import Path
from zoo import cli
from zoo.training.metrics_log import MetricsLog
from zoo.util import backend

def main(arguments):
    backend.start_tensorflow()
    folder, events = Path(arguments[0]), arguments[1:]
    with MetricsLog(folder / "metrics.jsonl", 0, folder / events[0] if events else None) as log:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        for step in range(10_000):
            log.write(step=step, cost=1.0, accuracy=0.5)

cli.run("log", main)
"""


@pytest.mark.parametrize("events", [(), ("tensorboard",)])
def test_a_full_disk_is_an_error_with_the_path(events: tuple[str, ...], tmp_path: Path) -> None:
    line = [sys.executable, "-c", PROGRAM, str(tmp_path), *events]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    full = tmp_path / "".join(events or ("metrics.jsonl",))
    assert (done.returncode, done.stderr) == (1, f"log: error: File too large: {full}\n")
