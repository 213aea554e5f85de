"""Prepare a dataset in several processes at once, and kill one of them."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np

from tools.faults.harness import Injected, Place, wrong_message
from zoo.runs import Run

BEFORE = "4 of 16"
WHAT = "three processes that prepare the same dataset at once; one of them may be killed"
COUNT = 20

_PROCESSES = 3
_SECONDS = 15  # about as long as they prepare


def inject(place: Place, random: np.random.Generator, count: int) -> Injected:
    """Start trainings on a dataset that is not there: all that live must get the same images."""
    folder = place.folder / "preparing"
    expected = Run(place.run).read_result()["data"]
    for number in range(count):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        small = ("zoo.train", "ltfn1", "--data", "digits", "--steps", 1, "--offline", "--out")
        environment = {"TFDS_DATA_DIR": str(folder / "data")}
        processes = [
            place.start(*small, name, cwd=folder, environment=environment)
            for name in map(str, range(_PROCESSES))
        ]
        killed = int(random.integers(2 * _PROCESSES))
        moment = random.uniform(0, _SECONDS)
        if killed < _PROCESSES:
            try:
                processes[killed].wait(moment)
            except subprocess.TimeoutExpired:
                processes[killed].kill()
        wrong = None
        for at, process in enumerate(processes):
            with process:
                output, errors = process.communicate()
            if at == killed:
                continue
            done = subprocess.CompletedProcess(["zoo.train"], process.returncode, output, errors)
            if done.returncode:
                wrong = wrong_message(done) or errors[-300:]
            elif Run(folder / str(at)).read_result()["data"] != expected:
                wrong = "it got other images"
        killing = f"one killed after {moment:.2f} s" if killed < _PROCESSES else "none killed"
        yield f"{number}: {killing}", wrong
