"""The conversions of one export: a process for each converting module, all of them in parallel.

    python -m MODULE SCRATCH FORMAT=FILE ... --failures FILE.json

TensorFlow takes longer to start than a file takes to convert, so all formats of a module share one
process; and what a converter keeps of memory ends with its process.
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

FIXED = "fixed"
"""A SavedModel of a fixed batch."""

KERAS = "model.keras"
"""The deployed network as a Keras file."""

CALIBRATION = "calibration.npy"
"""The calibration images, uint8 [N, H, W, C]."""

Target = tuple[str, Path]
"""A format's name and the file to be written."""


def add_arguments(parser: Parser, formats: Sequence[str]) -> None:
    """Add the arguments of a converting module.

    They are ``scratch``, a folder that holds the names above, ``targets``, a list of ``Target``
    from ``FORMAT=FILE ...``, and ``failures``, a file.
    """

    def parse(text: str) -> Target:
        name, _, file = text.partition("=")
        if name not in formats or not file:
            raise argparse.ArgumentTypeError(
                f"takes FORMAT=FILE with {', '.join(formats)}, received {text!r}"
            )
        return name, Path(file)

    parser.add_argument("scratch", type=Path, metavar="SCRATCH", help="what the export wrote")
    parser.add_argument(
        "targets", nargs="+", type=parse, metavar="FORMAT=FILE", help=", ".join(formats)
    )
    parser.add_argument(
        "--failures",
        type=Path,
        required=True,
        metavar="FILE.json",
        help="gets the reason for each format that cannot hold the network",
    )


def convert_each(arguments: argparse.Namespace, convert: Callable[[str, Path], object]) -> None:
    """Write the targets that can be written, and why the others cannot.

    Args:
        arguments: parsed, with those of ``add_arguments``.
        convert: takes a format's name and the file.

    Raises:
        OSError, MemoryError: the machine refused, which says nothing of the network.
    """
    failures = {}
    for name, file in arguments.targets:
        try:
            convert(name, file)
        except (OSError, MemoryError):
            raise
        except Exception as error:  # each converter has errors of its own
            failures[name] = _reason(error)
    arguments.failures.write_text(json.dumps(failures), encoding="utf-8")


# How the LiteRT converter calls an operation that it lacks, and the layer in which it is. To the
# names of models and layers TensorFlow has appended _1.
_MISSING = re.compile(r"'(?:tf|tfl)\.(\w+)' op")
_LAYER = re.compile(r'fused\["\w+:", "[^"@/]+_1/([^"@/]+?)(?:_1)?/[^"@]*@')


def _reason(error: Exception) -> str:
    """Return an error of a converter in one line, with the layer where it names one."""
    text = str(error)
    if (operation := _MISSING.search(text)) and (layer := _LAYER.search(text)):
        return f"it has no operation {operation[1]}, which layer {layer[1]!r} needs"
    return first_line(error)


def convert(targets: Mapping[str, Path], scratch: Path) -> dict[str, str]:
    """Write the files of some formats.

    Args:
        targets: of each format's name, its file.
        scratch: holds what a converter reads, under the names above.

    Returns:
        Of each format that cannot hold the network, the reason.

    Raises:
        ZooError: a converting process failed.
    """
    work: dict[str, list[str]] = {}
    for name, file in targets.items():
        work.setdefault(FORMATS[name].converter, []).append(f"{name}={file}")

    def failures(module: str) -> dict[str, str]:
        file = scratch / f"{module}.failures.json"
        arguments = [scratch, *work[module], "--failures", file, *user_modules.options()]
        subprocesses.run_module(module, *arguments)
        return json.loads(file.read_text(encoding="utf-8"))

    with ThreadPoolExecutor() as pool:
        return dict(itertools.chain.from_iterable(map(dict.items, pool.map(failures, work))))
