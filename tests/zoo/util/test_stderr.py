"""What libraries write to standard error is held back, also by overlapping threads."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from zoo.util import stderr


def test_what_is_written_is_shown_only_after_a_failure(capfd: pytest.CaptureFixture) -> None:
    with stderr.held_back():
        os.write(2, b"chatter")
    with pytest.raises(OSError, match="fails"), stderr.held_back():  # noqa: PT012
        os.write(2, b"the cause")
        raise OSError("fails")
    assert capfd.readouterr().err == "the cause"


def test_overlapping_threads_give_standard_error_back(capfd: pytest.CaptureFixture) -> None:
    inside = threading.Event()

    def first() -> None:
        with stderr.held_back():
            inside.set()
            os.write(2, b"first")

    def second() -> None:
        inside.wait()
        with stderr.held_back():
            os.write(2, b"second")

    before = os.fstat(2)
    for _ in range(50):
        inside.clear()
        with ThreadPoolExecutor() as pool:
            for done in [pool.submit(first), pool.submit(second)]:
                done.result()
    os.write(2, b"shown")
    assert os.path.samestat(os.fstat(2), before)
    assert capfd.readouterr().err == "shown"
