"""Train into a run folder that another process trains into."""

from __future__ import annotations

import shutil
import subprocess
import time

import numpy as np

import zoo
from tools.faults.harness import Injected, Place, wrong_message

BEFORE = ""
WHAT = "second process that trains into, resumes or replaces the run of a first"
COUNT = 30

_TRAIN = (
    *("zoo.train", "ltfn1", "--data", "digits", "--steps", 2000, "--precision", "float32"),
    *("--offline", "--out", "run"),
)


def inject(place: Place, random: np.random.Generator, count: int) -> Injected:
    """Start a second training: it must be refused, or find the run finished."""
    folder = place.folder / "owners"
    expected = None
    for number in range(count):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        more = [(), ("--force",), ("--resume",)][int(random.integers(3))]
        with place.start(*_TRAIN, cwd=folder) as first:
            while not (folder / "run" / "recipe.json").exists() and first.poll() is None:
                time.sleep(0.01)
            time.sleep(random.uniform(0, 1))
            second = place.call(*_TRAIN, *more, cwd=folder)
            output, errors = first.communicate()
        done = subprocess.CompletedProcess(["zoo.train"], first.returncode, output, errors)
        weights = [array.tobytes() for array in zoo.load_model(folder / "run").get_weights()]
        expected = expected or weights
        yield (
            f"{number}: the second with {more or 'no option'}",
            (
                (wrong_message(done) or errors[-300:] if done.returncode else None)
                or wrong_message(second)
                or (None if weights == expected else "the weights differ")
            ),
        )
