"""Helpers in processes of their own: their memory, crashes and chatter stay theirs."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
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
        raise ZooError(f"{module} failed: {lines[-1]}")
