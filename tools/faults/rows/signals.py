"""Send SIGINT or SIGTERM to any command at any moment."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time

import numpy as np

from tools.faults.harness import ROOT, Injected, Place, files_of, wrong_message
from zoo.runs import Run

BEFORE = "24 of 39"
WHAT = "SIGINT or SIGTERM at any moment of a command"
COUNT = 100

_SECONDS = 5  # in which a command must end
_STARTING = 0.2  # seconds in which Python may start


def inject(place: Place, random: np.random.Generator, count: int) -> Injected:
    """Interrupt a command: it ends soon, with one line and its code, and leaves nothing."""
    small = ("--data", "digits", "--steps", "300", "--offline")
    commands = {
        "zoo.train": ("ltfn1", *small, "--out", "run"),
        "zoo.compare": ("ltfn1", *small, "--seeds", "2", "--out", "study"),
        "zoo.evaluate": (place.run,),
        "zoo.predict": (place.run, place.picture),
        "export": (place.run, "--out", "out"),
        "export.verify": (place.bundle,),
    }
    # Commands of a job in a shell's background ignore SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder, scratch = place.folder / "signals", place.folder / "tmp"
    durations: dict[str, float] = {}
    for number in range(count):
        command = str(random.choice(list(commands)))
        for each in (folder, scratch):
            shutil.rmtree(each, ignore_errors=True)
            each.mkdir()
        if command not in durations:
            begin = time.monotonic()
            done = place.call(command, *commands[command], cwd=folder)
            assert done.returncode == 0, done.stderr
            durations[command] = time.monotonic() - begin
            shutil.rmtree(folder)
            folder.mkdir()
        moment = random.uniform(0, durations[command])
        sent = signal.Signals(random.choice([signal.SIGINT, signal.SIGTERM]))
        fault = f"{number}: {sent.name} after {moment:.2f} s of {command}"
        with place.start(command, *commands[command], cwd=folder) as process:
            try:
                output, errors = process.communicate(timeout=moment)
                late = 0.0
            except subprocess.TimeoutExpired:
                begin = time.monotonic()
                process.send_signal(sent)
                output, errors = process.communicate()
                late = time.monotonic() - begin
        code = process.returncode
        # Before the first line of the command runs, Python itself answers the signal.
        if moment < _STARTING and (code == -sent or _is_of_python(code, errors)):
            yield fault, None
            continue
        done = subprocess.CompletedProcess([command], code, output, errors)
        yield fault, _wrong(done, sent, late, place)


def _is_of_python(code: int, errors: str) -> bool:
    """Return whether Ctrl-C interrupted Python's own start, before any line of the project."""
    ours = any(f"{ROOT}/{name}/" in errors for name in ("zoo", "export"))
    return code == 1 and "KeyboardInterrupt" in errors and not ours


def _wrong(
    done: subprocess.CompletedProcess[str], sent: signal.Signals, late: float, place: Place
) -> str | None:
    if done.returncode not in (0, 128 + sent):
        return f"exit code {done.returncode}: {done.stderr[-300:]!r}"
    if late > _SECONDS:
        return f"it ended after {late:.1f} s"
    folder = place.folder / "signals"
    left = [path for path in files_of(folder) if "staging" in path] + sorted(
        files_of(place.folder / "tmp")
    )
    if left:
        return f"it left {left[:3]}"
    unfinished = [Run(path.parent) for path in folder.rglob("recipe.json")]
    for run in unfinished:
        if not run.result.exists():
            run.read_request()  # raises an error if it cannot be resumed
    return wrong_message(done)
