"""All conversions of one export: a process for each converting library, the two side by side.

TensorFlow takes longer to start than a file takes to convert, so no format has a process to itself;
and what the converters keep of memory ends with their process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from export import keras_formats, process, tflite
from export.formats import LITERT

FIXED = "fixed"
KERAS = "model.keras"
CALIBRATION = "calibration.npy"

FORMATS = (*LITERT, *keras_formats.FORMATS)
"""The formats that a conversion makes."""


def convert(targets: Mapping[str, Path], scratch: Path) -> None:
    """Write the files of some formats.

    Args:
        targets: of each format's name, its file.
        scratch: holds the SavedModel of a fixed batch, the Keras file and the calibration images,
            under the names above.

    Raises:
        ZooError: a conversion failed.
    """
    options = []
    if targets.keys() & set(tflite.INTEGER):
        options = ["--calibration", scratch / CALIBRATION]
    lines = [
        ["export.tflite", scratch / FIXED, *_pairs(targets, LITERT), *options],
        ["export.keras_formats", scratch / KERAS, *_pairs(targets, keras_formats.FORMATS)],
    ]
    with ThreadPoolExecutor() as pool:
        wanted = [line for line in lines if len(line) > 2]
        list(pool.map(lambda line: process.run_module(*line), wanted))


def _pairs(targets: Mapping[str, Path], formats: Iterable[str]) -> list[str]:
    return [f"{name}={targets[name]}" for name in formats if name in targets]
