"""Damage the latest checkpoint of a training, then resume the training."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from tools.faults.harness import Injected, Place, flip_bit
from zoo.runs import Run
from zoo.training.averages import WeightAverage
from zoo.training.checkpoints import Checkpoints, Position

BEFORE = ""
WHAT = "latest checkpoint with a flipped bit, cut, or without an array"
COUNT = 400


def inject(place: Place, random: np.random.Generator, count: int) -> Injected:
    """Damage the checkpoint of step 2, and restore: the state must be that of a checkpoint."""
    run = Run(place.folder / "checkpoints")
    run.create({})
    states, checkpoints = {}, None
    for step in (1, 2):
        image = keras.Input((3,))
        model = keras.Model(image, keras.layers.Dense(2)(keras.layers.Dropout(0.5)(image)))
        optimizer = keras.optimizers.Adam()
        optimizer.build(model.trainable_variables)
        average = WeightAverage(model, optimizer, decay=0.9)
        checkpoints = Checkpoints(run, model, optimizer, average)
        checkpoints.save(Position(step, seconds=0.0))
        owners = (model, optimizer, average)
        variables = [variable for owner in owners for variable in owner.variables]
        states[step] = [variable.numpy() for variable in variables]
    assert checkpoints is not None
    path = run.checkpoints / "step-000000002.npz"
    whole = path.read_bytes()
    for number in range(count):
        fault = f"{number}: {_damage(path, whole, random)}"
        try:
            step = checkpoints.restore().step
        except Exception as error:  # what must not happen
            yield fault, f"{type(error).__name__}: {error}"
            continue
        found = [variable.numpy() for variable in variables]
        same = all(map(np.array_equal, found, states[step]))
        yield fault, None if same else f"it restored another state than that of step {step}"


def _damage(path: Path, whole: bytes, random: np.random.Generator) -> str:
    kind = random.choice(["flip", "cut", "hide"])
    if kind == "flip":
        at = flip_bit(path, whole, random)
        return f"bit {at} flipped"
    if kind == "cut":
        end = int(random.integers(len(whole)))
        path.write_bytes(whole[:end])
        return f"cut after {end} bytes"
    path.write_bytes(whole)
    with np.load(path) as archive:
        arrays = dict(archive)
    hidden = list(arrays)[int(random.integers(len(arrays)))]
    del arrays[hidden]
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    return f"without {hidden}"
