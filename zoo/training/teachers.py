"""The trained networks from whose answers another network learns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from etils import epy

from zoo.data import Dataset
from zoo.errors import InputError
from zoo.runs import find, load_model

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
        place = os.path.abspath(name) if run.folder == Path(name) else str(name)
        each.append({"run": place, "sha256": run.read_result()["weights"]["sha256"]})
    return each


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
    run = find(teacher["run"])
    if run.read_result()["weights"]["sha256"] != teacher["sha256"]:
        raise InputError(
            f"{run.folder} has other weights than when this training began; train again with "
            "--force"
        )
    network = load_model(run.folder, precision=precision)
    for what, its, wanted in (
        ("classes", network.class_names, dataset.class_names),
        ("images", network.preprocessing.record(), dataset.preprocessing.record()),
    ):
        if its != wanted:
            raise InputError(
                f"the teacher {teacher['run']} was trained on other {what}: {its} instead of "
                f"{wanted}; give one that was trained as this network"
            )
    network.trainable = False
    return network
