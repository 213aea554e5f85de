"""All conversions of one export: a process for each converting library, the two side by side.

TensorFlow takes longer to start than a file takes to convert, so no format has a process to itself;
and what the converters keep of memory ends with their process.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from export import subprocesses
from export.convert import onnx_openvino, tflite
from export.formats import LITERT
from zoo.models import user_modules

FIXED = "fixed"
KERAS = "model.keras"
CALIBRATION = "calibration.npy"

FORMATS = (*LITERT, *onnx_openvino.FORMATS)
"""The formats that a conversion makes."""


def convert(targets: Mapping[str, Path], scratch: Path) -> dict[str, str]:
    """Write the files of some formats.

    Args:
        targets: of each format's name, its file.
        scratch: holds the SavedModel of a fixed batch, the Keras file and the calibration images,
            under the names above.

    Returns:
        Of each format that cannot hold the network, the reason.

    Raises:
        ZooError: a converting process failed.
    """
    options = []
    if targets.keys() & set(tflite.INTEGER):
        options = ["--calibration", scratch / CALIBRATION]
    litert, others = (_pairs(targets, each) for each in (LITERT, onnx_openvino.FORMATS))
    work: dict[str, list[object]] = {}
    if litert:
        work["export.convert.tflite"] = [scratch / FIXED, *litert, *options]
    if others:
        work["export.convert.onnx_openvino"] = [scratch / KERAS, *others, *user_modules.options()]
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda module: _failures(module, work[module], scratch), work))
    return dict(itertools.chain.from_iterable(each.items() for each in found))


def _failures(module: str, arguments: Sequence[object], scratch: Path) -> dict[str, str]:
    """Run a converting module; return of each format that failed the reason."""
    file = scratch / f"{module}.failures.json"
    subprocesses.run_module(module, *arguments, "--failures", file)
    return json.loads(file.read_text(encoding="utf-8"))


def _pairs(targets: Mapping[str, Path], formats: Iterable[str]) -> list[str]:
    return [f"{name}={targets[name]}" for name in formats if name in targets]
