"""Test that commands end as documented if a standard stream is closed or full."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Libraries in C++ write to descriptor 2, whatever it is.
WRITING = """
import os, sys
from zoo import cli
def main(argv):
    with open(argv[0], "w") as file:
        os.write(2, b"log of a library")
        print("a warning", file=sys.stderr)
        file.write("data")
cli.run("zoo.wait", main)
"""

REFUSING = """
from zoo import cli
from zoo.errors import InputError
def main(argv):
    raise InputError("a\\udcff.png is wrong")
cli.run("zoo.wait", main)
"""

PRINTING = """
from zoo import cli
cli.run("zoo.wait", lambda argv: print("a result"))
"""

ENDLESS = """
import itertools
from zoo import cli
def main(argv):
    for number in itertools.count():
        print(number)
cli.run("zoo.wait", main)
"""


def _run(code: str, redirection: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-c", code, *arguments]
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", *line],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_an_encoding_lacks_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = _run(PRINTING.replace("a result", "b\u00e4r.png"), "")
    assert (done.returncode, done.stdout) == (0, "b\\xe4r.png\n"), done.stderr


@pytest.mark.parametrize("closed", ["2>&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_no_file_takes_the_place_of_a_closed_stream(closed: str, tmp_path: Path) -> None:
    done = _run(WRITING, closed, str(tmp_path / "data.txt"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "data.txt").read_text() == "data"


@pytest.mark.parametrize("where", ["2>&-", "<&- >&- 2>&-", "2>/dev/full", "2>/dev/null"])
def test_the_exit_code_does_not_depend_on_who_reads(where: str) -> None:
    assert _run(REFUSING, where).returncode == 2


def test_what_cannot_be_printed_is_an_error() -> None:
    done = _run(PRINTING, ">/dev/full")
    assert (done.returncode, done.stderr) == (1, "zoo.wait: error: No space left on device\n")
    assert _run(PRINTING, ">&-").returncode == 0


def test_a_reader_that_has_read_enough_is_no_error() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "0\n"
    process.stdout.close()
    assert (process.wait(timeout=300), process.stderr.read()) == (1, "")
    process.stderr.close()
