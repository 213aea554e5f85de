"""Checkpoints for an exact resume: atomic writes, checksums in each file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from etils import epy

from zoo.errors import InputError
from zoo.runs import Run
from zoo.training.averages import WeightAverage
from zoo.util import atomic, declared

with epy.lazy_imports():
    import keras

_PATTERN = "step-*.npz"
_KEPT = 2  # the second latest is the fallback if the latest is damaged


@dataclass(frozen=True)
class Position:
    """The progress of a training: number of the next step, and seconds spent on steps."""

    step: int
    seconds: float


class Checkpoints:
    """The checkpoints of one training.

    A checkpoint contains all variables of the network (including its random generators) and of the
    optimizer, the averaged weights, the position, and the SHA-256 of the run's request. The order
    of the data depends only on seed and step, so this is enough to resume exactly.
    """

    def __init__(
        self,
        run: Run,
        model: keras.Model,
        optimizer: keras.Optimizer,
        average: WeightAverage,
    ) -> None:
        self._run = run
        self._request = atomic.sha256(run.recipe)
        self._owners = {"model": model, "optimizer": optimizer, "average": average}

    @staticmethod
    def exist(run: Run) -> bool:
        """Return whether a run has checkpoints, which may be damaged."""
        return any(run.checkpoints.glob(_PATTERN))

    def save(self, position: Position) -> None:
        """Write the state before step ``position.step``; delete all but the latest two files."""
        arrays = {name: np.asarray(variable) for name, variable in self._variables()}
        arrays |= {
            "_step": np.array(position.step),
            "_seconds": np.array(position.seconds),
            "_request": np.array(self._request),
        }
        self._run.checkpoints.mkdir(exist_ok=True)
        with atomic.staged(self._run.checkpoints / f"step-{position.step:09d}.npz") as stage:
            np.savez(stage, allow_pickle=False, **arrays)
        for old in self._paths()[_KEPT:]:
            old.unlink()

    def restore(self) -> Position:
        """Load the latest undamaged checkpoint, and return its position (step 0 without any).

        Raises:
            InputError: all checkpoints are damaged, or the request was replaced.
        """
        shapes = {name: tuple(variable.shape) for name, variable in self._variables()}
        for path in self._paths():
            try:
                declared.check_zip(path)
                with path.open("rb") as file, np.load(file) as archive:
                    arrays = dict(archive)
                request, step, seconds = (
                    arrays.pop(name).item() for name in ("_request", "_step", "_seconds")
                )
            except Exception:  # a damaged file raises more errors than NumPy documents
                continue
            if request != self._request:
                raise InputError(
                    f"{path} belongs to another request than {self._run.recipe.name}, which was "
                    "replaced; train again with --force"
                )
            if {name: array.shape for name, array in arrays.items()} != shapes:
                continue
            for name, variable in self._variables():
                variable.assign(arrays[name])
            return Position(step, seconds)
        if self._paths():
            raise InputError(
                f"all checkpoints in {self._run.checkpoints} are damaged; train again with --force"
            )
        return Position(step=0, seconds=0.0)

    def _variables(self) -> Iterator[tuple[str, Any]]:
        for group, owner in self._owners.items():
            for index, variable in enumerate(owner.variables):
                yield f"{group}/{index:04d}", variable

    def _paths(self) -> list[Path]:
        return sorted(self._run.checkpoints.glob(_PATTERN), reverse=True)
