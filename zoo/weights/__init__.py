"""The trained networks that the package contains: a run folder for each, without the metrics.

``release.json`` summarizes them. ``python -m tools.release`` makes both from finished runs.
``exported.json`` in a folder has what the export of the network measured, from which
``python -m tools.results`` takes it.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent


@functools.cache
def released() -> dict[str, dict[str, Any]]:
    """Return the summary of each trained network by its name.

    It has ``dataset``; ``recipe``, as ``records.described`` describes it; ``seed``; ``sha256`` and
    ``bytes`` of the weights; ``test_correct`` and ``test_count`` of the file as shipped; and
    ``accuracies``, the test accuracy of the training with each seed.
    """
    file = _FOLDER / "release.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def released_folder(name: str) -> Path:
    """Return the run folder of a trained network."""
    return _FOLDER / name


def is_released(folder: Path) -> bool:
    """Return whether a run folder is one of the package's."""
    return folder.parent == _FOLDER


@functools.cache
def exported() -> list[dict[str, Any]]:
    """Return a row for each trained network and format, as its export on the dataset measured it.

    A row has ``network``, ``format``, ``test_correct`` and ``test_count`` of the file,
    ``changed``, the test images for which it predicts another class than Keras, ``bytes``,
    ``flash_bytes`` (the model and the program code) and ``arena_bytes`` (with CMSIS-NN) of the
    microcontroller library or None, ``microseconds`` for one image on one thread, and the
    ``processor``.
    """
    rows = []
    for name in released():
        file = _FOLDER / name / "exported.json"
        found = json.loads(file.read_text(encoding="utf-8"))
        common = {"network": name, "processor": found["processor"]}
        rows += [common | row for row in found["formats"]]
    return rows
