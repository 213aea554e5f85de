"""Helpers in processes of their own: their memory, crashes and chatter stay theirs."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from zoo.cli import Parser
from zoo.errors import ZooError, first_line

Target = tuple[str, Path]
"""A format's name and the file to be written."""


def add_targets(parser: Parser, formats: Sequence[str]) -> None:
    """Add the arguments ``FORMAT=FILE ...``, parsed into ``targets``, a list of ``Target``."""

    def parse(text: str) -> Target:
        name, _, file = text.partition("=")
        if name not in formats or not file:
            raise argparse.ArgumentTypeError(
                f"takes FORMAT=FILE with {', '.join(formats)}, received {text!r}"
            )
        return name, Path(file)

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
        arguments: parsed, with those of ``add_targets``.
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


def run_module(module: str, *arguments: object) -> None:
    """Run ``python -m module arguments`` and wait for it.

    Raises:
        ZooError: it failed; the message is its last line.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode < 0:
        raise ZooError(f"{module} was killed by signal {-done.returncode}")
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        message = lines[-1].removeprefix(f"{module}: error: ")
        raise ZooError(f"{module} failed: {message}")
