"""Run the conversions of one export: a subprocess for each converter module, all in parallel.

    python -m MODULE SCRATCH FORMAT=FILE ... --failures FILE.json

Starting TensorFlow takes longer than converting a file, so all formats of a module share one
subprocess. The memory that a converter keeps is released when its subprocess ends.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from export import subprocesses
from export.formats import FORMATS
from zoo.cli import Parser
from zoo.errors import first_line
from zoo.models import user_modules
from zoo.util import atomic

FIXED = "fixed"
"""The SavedModel with a fixed batch size."""

KERAS = "model.keras"
"""The deployed network as a Keras file."""

FACTS = "facts.json"
"""The classes, the preprocessing, the networks and the test pictures of the web page."""

CALIBRATION = "calibration.npy"
"""The calibration images, uint8 [N, H, W, C]."""

Target = tuple[str, Path]
"""A format's name and the file to write."""


def keras_file(number: int) -> str:
    """Return the name of the Keras file of a network of the web page; the first is ``KERAS``."""
    return f"beside{number}.keras" if number else KERAS


def add_arguments(parser: Parser, formats: Sequence[str]) -> None:
    """Add the command line arguments of a converter module.

    They are ``scratch``, the folder of the files named above; ``targets``, a list of ``Target``
    from ``FORMAT=FILE ...``; and ``failures``, the file for the reasons.
    """

    def parse(text: str) -> Target:
        name, _, file = text.partition("=")
        if name not in formats or not file:
            raise argparse.ArgumentTypeError(
                f"takes FORMAT=FILE, FORMAT one of {', '.join(formats)}, received {text!r}"
            )
        return name, Path(file)

    parser.add_argument("scratch", type=Path, metavar="SCRATCH", help="folder of the inputs")
    parser.add_argument(
        "targets",
        nargs="+",
        type=parse,
        metavar="FORMAT=FILE",
        help=f"files to write; formats: {', '.join(formats)}",
    )
    parser.add_argument(
        "--failures",
        type=Path,
        required=True,
        metavar="FILE.json",
        help="file for the reason of each conversion that fails",
    )


def convert_each(arguments: argparse.Namespace, convert: Callable[[str, Path], object]) -> None:
    """Write each target. For each conversion that fails, write the reason.

    Args:
        arguments: the parsed arguments of ``add_arguments``.
        convert: called with a format's name and its file.

    Raises:
        OSError, MemoryError: the cause is the machine, not the network.
    """
    failures = {}
    for name, file in arguments.targets:
        try:
            with atomic.writing(file):
                convert(name, file)
        except (OSError, MemoryError):
            raise
        except Exception as error:  # each converter raises its own error types
            failures[name] = _reason(error)
    atomic.write_json(arguments.failures, failures)


# Unsupported operation and its layer in an error of the LiteRT converter. TensorFlow appends _1 to
# the names of models and layers.
_MISSING = re.compile(r"'(?:tf|tfl)\.(\w+)' op")
_LAYER = re.compile(r'fused\["\w+:", "[^"@/]+_1/([^"@/]+?)(?:_1)?/[^"@]*@')


def _reason(error: Exception) -> str:
    """Return a converter's error in one line, with the layer if the error names it."""
    text = str(error)
    if (operation := _MISSING.search(text)) and (layer := _LAYER.search(text)):
        return f"it does not support the operation {operation[1]} of layer {layer[1]!r}"
    return first_line(error)


def convert(targets: Mapping[str, Path], scratch: Path) -> dict[str, str]:
    """Write the files of several formats.

    Args:
        targets: format name to file.
        scratch: folder of the inputs, under the names above.

    Returns:
        The reason for each format whose conversion failed.

    Raises:
        ZooError: a converter subprocess failed.
    """
    work: dict[str, list[str]] = {}
    for name, file in targets.items():
        work.setdefault(FORMATS[name].converter, []).append(f"{name}={file}")

    def failures(module: str) -> dict[str, str]:
        file = scratch / f"{module}.failures.json"
        arguments = [scratch, *work[module], "--failures", file, *user_modules.options()]
        subprocesses.run_module(module, *arguments)
        return json.loads(file.read_text(encoding="utf-8"))

    with ThreadPoolExecutor() as pool, subprocesses.killed_on_interrupt():
        return dict(itertools.chain.from_iterable(map(dict.items, pool.map(failures, work))))
