"""Command-line options that several commands of the exporter have."""

from __future__ import annotations

import argparse

from export import formats
from export.formats import Format
from zoo import cli


def add_bound_arguments(parser: cli.Parser) -> None:
    """Add the options that change how much accuracy a format may lose."""
    parser.add_argument(
        "--bound",
        type=_bound,
        action="append",
        default=[],
        metavar="FORMAT=POINTS",
        help="largest accuracy loss of a format in percentage points, instead of its default; it "
        "also removes the minimum of 1 or 2 images; may be repeated",
    )
    parser.add_argument(
        "--allow-drop",
        action="store_true",
        help="accept a --bound looser than the format's default",
    )


def bounded(text: str | None, arguments: argparse.Namespace) -> list[Format]:
    """Return the formats in a list as ``formats.choose`` takes it, with the bounds of the options.

    Raises:
        InputError: as ``formats.choose`` and ``formats.bounded``.
    """
    losses = dict(arguments.bound)
    return formats.bounded(formats.choose(text), losses, allow_drop=arguments.allow_drop)


def _bound(text: str) -> tuple[str, float]:
    name, equals, points = text.partition("=")
    try:
        value = float(points)
    except ValueError:
        value = -1.0
    if not equals or not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(
            f"takes FORMAT=POINTS with 0 to 100 points, such as int8=0.05, received {text!r}"
        )
    return name, value
