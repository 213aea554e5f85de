"""Crash-safe save and exact resume: one staged file a checkpoint, checksummed by its container."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from etils import epy

from zoo.errors import InputError
from zoo.training.averages import WeightAverage
from zoo.util import atomic

with epy.lazy_imports():
    import keras

_KEPT = 2  # the latest, and the one before should the disk have damaged it


@dataclass(frozen=True)
class Position:
    """How far a training has come: the next step's number, and the seconds spent on steps."""

    step: int
    seconds: float


class Checkpoints:
    """The states of one training.

    A state is every variable of the network (its random generators included), every variable of
    the optimizer, the average of the weights, and the position. The order of the data is a function
    of seed and step, so nothing else is needed to go on exactly.
    """

    def __init__(
        self,
        folder: Path,
        model: keras.Model,
        optimizer: keras.Optimizer,
        average: WeightAverage,
    ) -> None:
        self._folder = folder
        self._owners = {"model": model, "optimizer": optimizer, "average": average}

    def save(self, position: Position) -> None:
        """Write the state before step ``position.step``, then drop all but the latest two."""
        arrays = {name: np.asarray(variable) for name, variable in self._variables()}
        arrays |= {"_step": np.array(position.step), "_seconds": np.array(position.seconds)}
        with atomic.staged(self._folder / f"step-{position.step:09d}.npz") as stage:
            np.savez(stage, allow_pickle=False, **arrays)
        for old in self._paths()[_KEPT:]:
            old.unlink()

    def restore(self) -> Position:
        """Load the latest whole state; without any, stay at the beginning.

        Raises:
            InputError: the states there are damaged or belong to another network.
        """
        paths = self._paths()
        for path in paths:
            try:
                with path.open("rb") as file, np.load(file) as archive:
                    arrays = dict(archive)
            except Exception:  # a damaged container fails in more ways than it documents
                continue
            return self._assign(arrays, path)
        if paths:
            raise InputError(f"no checkpoint in {self._folder} is whole; train anew with --force")
        return Position(step=0, seconds=0.0)

    def _assign(self, arrays: dict[str, np.ndarray], path: Path) -> Position:
        step, seconds = int(arrays.pop("_step")), float(arrays.pop("_seconds"))
        variables = dict(self._variables())
        shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
        if shapes != {name: array.shape for name, array in arrays.items()}:
            raise InputError(f"{path} belongs to another network or optimizer")
        for name, variable in variables.items():
            variable.assign(arrays[name])
        return Position(step, seconds)

    def _variables(self) -> Iterator[tuple[str, Any]]:
        for group, owner in self._owners.items():
            for index, variable in enumerate(owner.variables):
                yield f"{group}/{index:04d}", variable

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob("step-*.npz"), reverse=True)
