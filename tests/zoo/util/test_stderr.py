"""Test that standard error is held back, also by overlapping threads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import ROOT
from zoo.util import stderr


def test_what_is_written_is_shown_only_after_a_failure(capfd: pytest.CaptureFixture) -> None:
    with stderr.captured():
        os.write(2, b"chatter")
    with pytest.raises(OSError, match="fails"), stderr.captured():  # noqa: PT012
        os.write(2, b"the cause")
        raise OSError("fails")
    assert capfd.readouterr().err == "the cause"


def test_overlapping_threads_give_standard_error_back(capfd: pytest.CaptureFixture) -> None:
    first_is_in, second_is_in, first_is_out = (threading.Event() for _ in range(3))

    def first() -> None:
        with stderr.captured():
            first_is_in.set()
            second_is_in.wait(0.3)  # times out if the second thread has to wait
        first_is_out.set()

    def second() -> None:
        first_is_in.wait()
        with stderr.captured():
            second_is_in.set()
            first_is_out.wait()

    before = os.fstat(2)
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(first), pool.submit(second)]:
            done.result()
    os.write(2, b"shown")
    assert os.path.samestat(os.fstat(2), before)
    assert capfd.readouterr().err == "shown"


def test_where_a_library_ends_the_process_is_shown() -> None:
    code = """
import os
from zoo.util import stderr
def library():
    os.abort()
with stderr.captured():
    library()
"""
    line = [sys.executable, "-c", code]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in done.stderr
    assert "in library" in done.stderr
