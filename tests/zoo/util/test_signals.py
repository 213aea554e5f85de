from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT
from zoo.util import signals

WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}

pytestmark = pytest.mark.parametrize("number", WORDS)


def _start(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _end(process: subprocess.Popen[str], number: int) -> str:
    """Send a signal when the process has printed a line; return its error output."""
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    return process.communicate(timeout=60)[1]


# The import of zoo takes long enough for a signal while sys.argv has the value of ``python -m``.
IMPORTING = """
import builtins, sys, time
sys.argv = ["-m"]
imported = builtins.__import__
def wait(name, *rest):
    if name == "zoo.data":
        print("ready", flush=True)
        time.sleep(60)
    return imported(name, *rest)
builtins.__import__ = wait
import zoo
"""


def test_a_command_that_is_imported_ends_in_one_line(number: signal.Signals) -> None:
    process = _start(IMPORTING)
    complaint = _end(process, number)
    assert (process.returncode, complaint) == (128 + number, f"{WORDS[number]}\n")


COMMAND = """
import sys, time
from pathlib import Path
from zoo import cli
def main(argv):
    try:
        print("ready", flush=True)
        try:
            time.sleep(60)
        except Exception:
            pass
    finally:
        Path(sys.argv[1]).touch()
cli.run("zoo.wait", main)
"""


def test_a_command_tidies_up_and_ends_in_one_line(number: signal.Signals, tmp_path: Path) -> None:
    process = _start(COMMAND, str(tmp_path / "tidied"))
    complaint = _end(process, number)
    assert (process.returncode, complaint) == (128 + number, f"zoo.wait: {WORDS[number]}\n")
    assert (tmp_path / "tidied").exists()


def test_a_deferred_signal_acts_at_the_end_of_the_block(
    number: signal.Signals,
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    signals.raise_exceptions()
    done = []
    try:
        with pytest.raises(KeyboardInterrupt) as caught, signals.deferred() as received:  # noqa: PT012
            assert not received.signal
            signal.raise_signal(number)
            assert received.signal == number
            time.sleep(0.01)
            done.append(True)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert done
    assert signals.number_of(caught.value) == number
