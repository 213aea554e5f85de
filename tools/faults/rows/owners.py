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

_COMMON = ("zoo.train", "ltfn1", "--offline", "--out", "run")
_TRAIN = (*_COMMON, "--data", "digits", "--steps", 2000, "--precision", "float32")
_SECOND = {
    "the same command": _TRAIN,
    "--force": (*_TRAIN, "--force"),
    "--resume": (*_COMMON, "--resume"),
}


def inject(place: Place, random: np.random.Generator, count: int) -> Injected:
    """Start a second training: it must be refused, or find the run finished."""
    folder = place.folder / "owners"
    expected = None
    for number in range(count):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        option = str(random.choice(list(_SECOND)))
        with place.start(*_TRAIN, cwd=folder) as first:
            while not (folder / "run" / "recipe.json").exists() and first.poll() is None:
                time.sleep(0.01)
            time.sleep(random.uniform(0, 1))
            second = place.call(*_SECOND[option], cwd=folder)
            output, errors = first.communicate()
        done = subprocess.CompletedProcess(["zoo.train"], first.returncode, output, errors)
        weights = [array.tobytes() for array in zoo.load_model(folder / "run").get_weights()]
        expected = expected or weights
        yield (
            f"{number}: the second is {option}",
            (
                (wrong_message(done) or errors[-300:] if done.returncode else None)
                or wrong_message(second)
                or (None if weights == expected else "the weights differ")
            ),
        )
