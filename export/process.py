"""Helpers in processes of their own: their memory, crashes and chatter stay theirs."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from zoo.commands import Parser
from zoo.errors import ZooError

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


def convert_each(targets: Sequence[Target], convert: Callable[[str, Path], object]) -> None:
    """Write each target; ``convert`` takes a format's name and the file.

    Raises:
        ZooError: a conversion failed; the message names the format, and how to go on.
    """
    for name, file in targets:
        try:
            convert(name, file)
        except Exception as error:  # each converter has errors of its own
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ZooError(
                f"format {name} cannot hold the network: {first}; name the others with --formats "
                "to go on without it"
            ) from error


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
