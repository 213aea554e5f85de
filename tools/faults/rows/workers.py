"""Kill one of two workers at any moment of a training, and resume it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np

from tools.faults import harness
from tools.faults.harness import Injected, Place
from tools.faults.rows.kills import contents, differing
from zoo.errors import WorkerError
from zoo.runs import Run
from zoo.util import lifetime

BEFORE = ""
WHAT = (
    "SIGKILL of one of two workers at any moment of a training, which is then resumed or repeated"
)
COUNT = 20

TRAIN = (
    *("zoo.train", "ltfn1", "--data", "digits", "--steps", 300, "--precision", "float32"),
    *("--set", "threads=1", "--set", "shards=1", "--checkpoint-seconds", 0, "--offline"),
)
_WORKERS = ("--workers", 2)
SECONDS = 60
"""Seconds in which the other worker must end."""


def inject(place: Place, random: np.random.Generator, count: int) -> Injected:
    """Kill a worker, then go on as its user would; the run must equal a whole one."""
    folder = place.folder / "workers"
    folder.mkdir()
    begin = time.monotonic()
    done = place.call(*TRAIN, *_WORKERS, "--out", "whole", cwd=folder)
    assert done.returncode == 0, done.stderr
    seconds = time.monotonic() - begin
    whole = contents(folder / "whole")
    for number in range(count):
        shutil.rmtree(folder / "run", ignore_errors=True)
        moment, killed = random.uniform(0, 1.05 * seconds), int(random.integers(2))
        fault = f"{number}: worker {killed} killed after {moment:.2f} of {seconds:.2f} seconds"
        with place.start(*TRAIN, *_WORKERS, "--out", "run", cwd=folder) as process:
            if wrong := _end_after_kill(process, killed, moment):
                process.kill()
                yield fault, wrong
                continue
        run = Run(folder / "run")
        if not run.result.exists():
            resume = (*TRAIN[:2], "--resume", "--offline")
            arguments = resume if run.recipe.exists() else TRAIN
            done = place.call(*arguments, *_WORKERS, "--out", "run", cwd=folder)
            if done.returncode:
                yield fault, done.stderr
                continue
        yield fault, differing(whole, run.folder)


def _end_after_kill(process: subprocess.Popen[str], number: int, moment: float) -> str | None:
    """Kill a worker after some seconds; return what is wrong with the end of the training."""
    try:
        process.communicate(timeout=moment)
    except subprocess.TimeoutExpired:
        if (worker := process_of(process.pid, number)) is not None:
            with contextlib.suppress(ProcessLookupError):  # it has ended since
                os.kill(worker, signal.SIGKILL)
            try:
                _, errors = process.communicate(timeout=SECONDS)
            except subprocess.TimeoutExpired:
                return f"the training did not end within {SECONDS} seconds"
            done = subprocess.CompletedProcess(["zoo.train"], process.returncode, "", errors)
            if process.returncode not in (0, WorkerError.exit_code):
                return f"exit code {process.returncode}: {errors[-300:]}"
            return harness.wrong_message(done)
        process.communicate()
    return f"exit code {process.returncode}" if process.returncode else None


def process_of(parent: int, number: int) -> int | None:
    """Return the process ID of a worker that a process has started, None if it does not run."""
    marks = (f"{lifetime.PARENT}={parent}", f'"index": {number}}}')
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            text = path.read_text(errors="replace")
        except OSError:  # it has ended, or belongs to another user
            continue
        if all(mark in text for mark in marks):
            return int(path.parent.name)
    return None
