"""Kill a training at any moment, and resume it or begin anew."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np

import zoo
from tools.faults.harness import Injected, Place
from zoo.runs import Run, records
from zoo.util import atomic

BEFORE = "10 of 10"
WHAT = "SIGKILL at any moment of a training, which is then resumed or repeated"
COUNT = 200

_TRAIN = (
    *("zoo.train", "ltfn1", "--data", "digits", "--steps", 300, "--precision", "float32"),
    *("--checkpoint-seconds", 0, "--offline"),
)


def inject(place: Place, random: np.random.Generator, count: int) -> Injected:
    """Kill the training, then go on as its user would; the run must equal a whole one."""
    folder = place.folder / "kills"
    folder.mkdir()
    begin = time.monotonic()
    done = place.call(*_TRAIN, "--out", "whole", cwd=folder)
    assert done.returncode == 0, done.stderr
    seconds = time.monotonic() - begin
    whole = contents(folder / "whole")
    for number in range(count):
        shutil.rmtree(folder / "run", ignore_errors=True)
        moment = random.uniform(0, 1.05 * seconds)
        with place.start(*_TRAIN, "--out", "run", cwd=folder) as process:
            try:
                process.communicate(timeout=moment)
            except subprocess.TimeoutExpired:
                process.kill()
        run = Run(folder / "run")
        fault = f"{number}: killed after {moment:.2f} of {seconds:.2f} seconds"
        if not run.result.exists():
            resume = (*_TRAIN[:2], "--resume", "--offline")
            arguments = resume if run.recipe.exists() else _TRAIN
            done = place.call(*arguments, "--out", "run", cwd=folder)
            if done.returncode:
                yield fault, done.stderr
                continue
        yield fault, differing(whole, run.folder)


def differing(whole: dict[str, Any], folder: Path) -> str | None:
    """Return what differs between a run and the contents of a whole one, None if nothing."""
    found = contents(folder)
    different = [name for name in whole if found.get(name) != whole[name]]
    surplus = found.keys() - whole.keys()
    return f"{different or surplus} differ" if different or surplus else None


def contents(folder: Path) -> dict[str, Any]:
    """Return what must be equal in two runs: pictures, metrics without times, weights."""
    run = Run(folder)
    rows = records.read_metrics(run.metrics)
    weights = [weight.tobytes() for weight in zoo.load_model(folder).get_weights()]
    found: dict[str, Any] = {
        path.name: atomic.sha256(path) if path.suffix == ".png" else "exists"
        for path in folder.iterdir()
    }
    metrics = [{name: row[name] for name in row if name != "seconds"} for row in rows]
    return found | {"metrics": json.dumps(metrics), "weights": weights}
