"""The trained networks from whose answers another network learns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from etils import epy

from zoo.data import Dataset
from zoo.errors import InputError
from zoo.runs import Run, find, load_model
from zoo.weights import is_released, released, released_folder

with epy.lazy_imports():
    import keras


def recorded(names: Sequence[str | Path]) -> list[dict[str, str]]:
    """Return the record of the teachers of a training.

    Args:
        names: run folders, or trained networks of the package.

    Raises:
        InputError: one is neither.
    """
    each = []
    for name in names:
        run = find(name)
        place = run.folder.name if is_released(run.folder) else os.path.abspath(run.folder)
        each.append({"run": place, "sha256": run.read_result()["weights"]["sha256"]})
    return each


def run_of(teacher: dict[str, str]) -> Run:
    """Return the run of a recorded teacher: an absolute path, or a network of the package."""
    name = teacher["run"]
    return Run(released_folder(name) if name in released() else name)


def load(teachers: Sequence[dict[str, str]], dataset: Dataset, precision: str) -> list[keras.Model]:
    """Return the teachers of a training.

    Args:
        teachers: their record.
        dataset: what they answer.
        precision: of their arithmetic, as in ``create_model``.

    Raises:
        InputError: one is not there, has other weights than recorded, or answers other images or
            classes.
    """
    return [_load(teacher, dataset, precision) for teacher in teachers]


def _load(teacher: dict[str, str], dataset: Dataset, precision: str) -> keras.Model:
    run = run_of(teacher)
    run.check_weights(teacher["sha256"])
    network = load_model(run.folder, precision=precision)
    if network.class_names != dataset.class_names:
        raise InputError(
            f"the teacher {teacher['run']} has the classes {', '.join(network.class_names)}, but "
            f"{dataset.name} has {', '.join(dataset.class_names)}; give a teacher for these classes"
        )
    its, wanted = network.preprocessing.record(), dataset.preprocessing.record()
    if different := [f"{key} {its[key]}" for key in its if its[key] != wanted[key]]:
        raise InputError(
            f"the images of the teacher {teacher['run']} were prepared with "
            f"{', '.join(different)}, those of {dataset.name} were not; give the same picture "
            "options (docs/pictures.md), or another teacher"
        )
    network.trainable = False
    return network
