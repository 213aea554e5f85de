"""The run folder: weights and facts of one training, never code and never architecture.

runs/<model>/
    recipe.json         the request: model, data and the resolved recipe
    metrics.jsonl       cost and accuracy, a line each 100 steps
    checkpoints/        the latest states, for --resume
    model.weights.h5    the trained weights
    result.json         the facts; written last, so a run that has it is whole
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from etils import epy

from zoo.errors import InputError
from zoo.models import registry
from zoo.util import atomic

with epy.lazy_imports():
    import keras


class Run:
    """One run folder, and the only code that knows the names in it."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.recipe = self.folder / "recipe.json"
        self.metrics = self.folder / "metrics.jsonl"
        self.checkpoints = self.folder / "checkpoints"
        self.weights = self.folder / "model.weights.h5"
        self.result = self.folder / "result.json"
        self.tensorboard = self.folder / "tensorboard"
        self.curves = self.folder / "curves.png"
        self.confusion = self.folder / "confusion.png"
        self.mistakes = self.folder / "mistakes.png"
        self.filters = self.folder / "filters.png"
        self.corruptions = self.folder / "corruptions.png"
        place = self.folder.absolute()  # "." has no name of its own
        self._previous = place.parent / f".{place.name}.previous"

    def check_free(self, *, force: bool) -> None:
        """Say before the work starts whether ``create`` would refuse.

        Raises:
            InputError: the folder cannot be written, or holds what is not to be replaced.
        """
        nearest = next(path for path in (self.folder, *self.folder.parents) if path.exists())
        if not (nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)):
            raise InputError(
                f"cannot write the run folder {self.folder}: {nearest} is not a folder that can "
                "be written; give another with --out"
            )
        if not self.folder.is_dir() or not any(self.folder.iterdir()):
            return
        if not force:
            raise InputError(
                f"{self.folder} exists; give --force to replace it, --resume to go on with "
                "an unfinished run, or --out for another folder"
            )
        if not self.recipe.exists():
            raise InputError(f"{self.folder} is not a run folder; --force replaces only those")

    def create(self, request: dict[str, Any], *, force: bool = False) -> None:
        """Make the folder and record what is about to be trained.

        With ``force`` a run that stands there makes room; if it is finished it is kept aside
        until the new one is finished too.

        Raises:
            InputError: as ``check_free`` does.
        """
        self.check_free(force=force)
        if self.result.exists():
            shutil.rmtree(self._previous, ignore_errors=True)
            self.folder.rename(self._previous)
        elif self.recipe.exists():
            shutil.rmtree(self.folder)
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        atomic.write_json(self.recipe, request)

    def read_request(self) -> dict[str, Any]:
        """Return what ``create`` recorded.

        Raises:
            InputError: there is no such record.
        """
        return self._read(self.recipe, "python -m zoo.train makes one")

    def finish(self, model: keras.Model, result: dict[str, Any]) -> None:
        """Write weights and facts; from here on the run is whole."""
        with atomic.staged(self.weights) as stage:
            model.save_weights(stage)
        weights = {"file": self.weights.name, "sha256": atomic.sha256(self.weights)}
        atomic.write_json(self.result, result | {"weights": weights})
        shutil.rmtree(self._previous, ignore_errors=True)

    def read_result(self) -> dict[str, Any]:
        """Return the facts of a finished run.

        Raises:
            InputError: the folder is no run, or the run is not finished.
        """
        if self.recipe.exists() and not self.result.exists():
            raise InputError(
                f"{self.folder} is an unfinished run without weights; "
                f"go on with python -m zoo.train MODEL --resume --out {self.folder}"
            )
        return self._read(self.result, "python -m zoo.train makes one")

    def _read(self, path: Path, hint: str) -> dict[str, Any]:
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise InputError(
                f"{self.folder} is not a run folder: it has no {path.name}; {hint}"
            ) from error
        except (OSError, ValueError) as error:
            raise InputError(f"{path} cannot be read: {error}") from error


def load_model(folder: str | Path, *, precision: str = "float32") -> keras.Model:
    """Return the trained network of a run folder.

    Args:
        folder: a run folder, such as ``runs/ltfn5``.
        precision: as in ``create_model``; it need not be the one of the training.

    Returns:
        The functional model of ``create_model`` with the trained weights.

    Raises:
        InputError: no finished run is there, its network is not registered, or its weights are
            missing or were altered.
    """
    run = Run(folder)
    result = run.read_result()
    if not run.weights.exists():
        raise InputError(f"{run.folder} has no weights: {run.weights.name} is missing")
    # Keras would load a damaged file without a word, and matches layers by order alone.
    if atomic.sha256(run.weights) != result["weights"]["sha256"]:
        raise InputError(f"{run.weights} was altered: its SHA-256 is not that of {run.result.name}")
    data, name, module = result["data"], result["model"], result.get("module")
    if module and name not in registry.list_models():
        raise InputError(
            f"{run.folder} is a run of {name!r}, a network that {module} registers; give --import "
            f"{module}, or import it first in Python"
        )
    model = registry.create_model(
        name,
        input_shape=tuple(data["image_shape"]),
        classes=len(data["class_names"]),
        precision=precision,
    )
    model.load_weights(run.weights)
    return model
