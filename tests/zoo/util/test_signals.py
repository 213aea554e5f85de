from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT

WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}

pytestmark = pytest.mark.parametrize("number", WORDS)


def _start(code: str, *arguments: str) -> subprocess.Popen[str]:
    return _start_line("-c", code, *arguments)


def _start_line(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _end(process: subprocess.Popen[str], number: int) -> str:
    """Send a signal when the process has printed a line; return its error output."""
    return _ended(process, number)[1]


def _ended(process: subprocess.Popen[str], number: int) -> tuple[str, str]:
    """Send a signal when the process has printed a line; return the rest of its output."""
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    return process.communicate(timeout=300)


# Waits in the import of a command's package.
IMPORTING = """
import sys, time
def wait(event, arguments):
    if event == "import" and arguments[0] == "zoo.data":
        print("ready", flush=True)
        time.sleep(60)
sys.addaudithook(wait)
sys.argv = ["-m"]
sys.orig_argv = ["python", "-m", sys.argv_of_test]
import zoo
zoo.load_data
"""


@pytest.mark.parametrize("module", ["zoo.train", "export"])
def test_a_command_that_is_imported_ends_in_one_line(module: str, number: signal.Signals) -> None:
    process = _start(IMPORTING.replace("sys.argv_of_test", repr(module)))
    complaint = _end(process, number)
    assert (process.returncode, complaint) == (128 + number, f"{module}: {WORDS[number]}\n")


def test_a_command_without_standard_error_is_interrupted_in_its_import(
    number: signal.Signals,
) -> None:
    code = IMPORTING.replace("sys.argv_of_test", "'zoo.train'")
    process = _start_line("-c", f"import os; os.close(2)\n{code}")
    assert (_end(process, number), process.returncode) == ("", 128 + number)


def test_another_program_that_imports_zoo_keeps_its_handlers(number: signal.Signals) -> None:
    process = _start(IMPORTING.replace("sys.argv_of_test", "'shop.serve'"))
    complaint = _end(process, number)
    if number == signal.SIGTERM:
        assert (process.returncode, complaint) == (-signal.SIGTERM, "")
    else:
        assert complaint.endswith("KeyboardInterrupt\n")


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


# The signal arrives in a destructor, which drops every exception.
DROPPED = """
import time
from zoo import cli
class Kept:
    def __del__(self):
        print("ready", flush=True)
        time.sleep(60)
def main(argv):
    kept = Kept()
    del kept
    try:
        time.sleep(60)
    finally:
        time.sleep(2.5)
        print("tidied", flush=True)
cli.run("zoo.wait", main)
"""


# Another exception, caused by the signal's, is dropped, as in imports from C++ in TensorFlow.
DROPPED_WITH_ANOTHER = DROPPED.replace(
    "        time.sleep(60)",
    """
        try:
            time.sleep(60)
        except KeyboardInterrupt as error:
            raise SystemError("returned a result with an exception set") from error
""",
    1,
)


@pytest.mark.parametrize("code", [DROPPED, DROPPED_WITH_ANOTHER], ids=["itself", "another"])
def test_a_signal_is_not_dropped_and_does_not_disturb_its_own_end(
    code: str, number: signal.Signals
) -> None:
    process = _start(code)
    output, complaint = _ended(process, number)
    assert (process.returncode, complaint) == (128 + number, f"zoo.wait: {WORDS[number]}\n")
    assert output == "tidied\n"


# Dataclasses and named tuples run code from strings.
FROM_STRING = """
import time
from zoo import cli
def main(argv):
    exec("print('ready', flush=True); time.sleep(60)")
cli.run("zoo.wait", main)
"""


def test_code_that_runs_from_a_string_may_be_interrupted(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wait.py").write_text(FROM_STRING)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{tmp_path}")
    process = _start_line("-m", "wait")  # only after a module does Python end itself by SIGINT
    complaint = _end(process, number)
    assert (process.returncode, complaint) == (128 + number, f"zoo.wait: {WORDS[number]}\n")


INTERRUPTED = """
import os, sys, time
from zoo import cli
def main(argv):
    print("begun")
    os.kill(os.getpid(), int(sys.argv[1]))
    time.sleep(60)
cli.run("zoo.wait", main)
"""


@pytest.mark.parametrize("closed", [1, 2])
def test_a_closed_stream_does_not_change_the_end(number: signal.Signals, closed: int) -> None:
    line = [sys.executable, "-c", INTERRUPTED, str(int(number))]
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}>&-', "sh", *line],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 128 + number
    assert done.stdout == ("" if closed == 1 else "begun\n")
    assert done.stderr == ("" if closed == 2 else f"zoo.wait: {WORDS[number]}\n")


# TensorFlow's threads crash Python's shutdown if an interruption finds them at work.
CRASHING = """
import atexit, os, time
from zoo import cli
class Crash:
    def __del__(self):
        os.abort()
crash = Crash()
atexit.register(print, "exited")
def main(argv):
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("tidied")
cli.run("zoo.wait", main)
"""


def test_an_interrupted_command_does_not_crash_in_the_shutdown(number: signal.Signals) -> None:
    process = _start(CRASHING)
    output, complaint = _ended(process, number)
    assert (process.returncode, complaint) == (128 + number, f"zoo.wait: {WORDS[number]}\n")
    assert output == "tidied\nexited\n"


DEFERRED = """
import time
from zoo import cli
from zoo.util import signals
def main(argv):
    with signals.deferred() as received:
        print("ready", flush=True)
        while not received.signal:
            time.sleep(0.01)
        print("saved", flush=True)
    time.sleep(60)
cli.run("zoo.wait", main)
"""


def test_a_deferred_signal_acts_at_the_end_of_the_block(number: signal.Signals) -> None:
    process = _start(DEFERRED)
    output, complaint = _ended(process, number)
    assert (process.returncode, complaint) == (128 + number, f"zoo.wait: {WORDS[number]}\n")
    assert output == "saved\n"


IGNORED = """
import os, signal, threading
from zoo.util import signals
signal.signal(NUMBER, signal.SIG_IGN)
with signals.deferred() as received:
    os.kill(os.getpid(), NUMBER)
print(received.signal)
signal.signal(NUMBER, signal.SIG_DFL)
def in_another_thread():
    with signals.deferred() as received:
        print(received.signal)
thread = threading.Thread(target=in_another_thread)
thread.start()
thread.join()
"""


def test_ignored_signals_stay_ignored_and_threads_defer_nothing(number: signal.Signals) -> None:
    process = _start(IGNORED.replace("NUMBER", str(int(number))))
    output, complaint = process.communicate(timeout=300)
    assert (process.returncode, output, complaint) == (0, "0\n0\n", "")


# Waits in Python's shutdown, after a command has ended.
ENDED = """
import atexit, time
from zoo import cli
from zoo.errors import InputError
def wait():
    print("ready", flush=True)
    time.sleep(2)
atexit.register(wait)
def main(argv):
    if CODE:
        raise InputError("wrong")
cli.run("zoo.wait", main)
"""


@pytest.mark.parametrize("code", [0, 2])
def test_a_signal_after_a_command_changes_nothing(code: int, number: signal.Signals) -> None:
    process = _start(ENDED.replace("CODE", str(code)))
    complaint = _end(process, number)
    assert (process.returncode, complaint) == (code, "zoo.wait: error: wrong\n" if code else "")


# A parent passes on the signal that the whole group has received.
TWICE = """
import time
from pathlib import Path
from zoo import cli
from zoo.util import signals
def main(argv):
    with signals.deferred() as received:
        print("ready", flush=True)
        for _ in range(100):
            time.sleep(0.05)
            if received.signal:
                time.sleep(0.5)
                print("saved", flush=True)
                break
    time.sleep(60)
cli.run("zoo.wait", main)
"""


@pytest.mark.parametrize(("code", "output"), [(TWICE, "saved\n"), (DROPPED, "tidied\n")])
def test_a_signal_that_arrives_twice_at_once_is_one(
    code: str, output: str, number: signal.Signals
) -> None:
    process = _start(code)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    time.sleep(0.2)
    process.send_signal(number)
    printed, complaint = process.communicate(timeout=60)
    assert printed == output
    assert (process.returncode, complaint) == (128 + number, f"zoo.wait: {WORDS[number]}\n")


def test_a_second_signal_ends_work_that_the_first_did_not(number: signal.Signals) -> None:
    process = _start(TWICE.replace("if received.signal:", "if False:"))
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    time.sleep(1.5)
    begin = time.monotonic()
    process.send_signal(number)
    assert process.communicate(timeout=60)[0] == ""
    assert process.returncode == 128 + number
    assert time.monotonic() - begin < 2
