"""Draw the accuracy of the exported files of the package's networks against their costs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import figure

from zoo.errors import InputError


def accuracies(rows: Sequence[dict[str, Any]]) -> figure.Figure:
    """Draw the accuracy of each file against its size and time; a line joins the frontier.

    Args:
        rows: rows of ``zoo.weights.exported``.

    Raises:
        InputError: the rows were measured on several kinds of processors.
    """
    processor, *others = sorted({row["processor"] for row in rows})
    if others:
        raise InputError(
            f"times of {processor} and {', '.join(others)} are not comparable; export all networks "
            "on one machine"
        )
    labels = {"bytes": "size of the file, bytes", "microseconds": f"us per image\n{processor}"}
    picture = figure.Figure(figsize=(10, 4.5), layout="constrained")
    names = dict.fromkeys(row["format"] for row in rows)
    for axes, (cost, label) in zip(
        picture.subplots(1, 2, sharey=True), labels.items(), strict=True
    ):
        for name, marker in zip(names, itertools.cycle("osD^vPX*<")):
            points = [(row[cost], _errors(row)) for row in rows if row["format"] == name]
            axes.scatter(*zip(*points, strict=True), s=30, marker=marker, label=name)
        best = [(row[cost], _errors(row)) for row in frontier(rows, cost)]
        axes.step(*zip(*best, strict=True), "k--", where="post", lw=1, zorder=0)
        named: set[str] = set()
        for row in frontier(rows, cost):
            if row["network"] not in named:
                named.add(row["network"])
                at = (row[cost], _errors(row))
                axes.annotate(row["network"], at, (4, 6), textcoords="offset points")
        axes.margins(y=0.1)  # for the names above the points
        axes.set(xscale="log", xlabel=label)
        axes.set_yscale("log", nonpositive="clip")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("{x:g}")
    axes.legend(fontsize="small")
    picture.axes[0].set_ylabel("test errors, %")
    return picture


def frontier(rows: Sequence[dict[str, Any]], cost: str) -> list[dict[str, Any]]:
    """Return the files that no other surpasses: none costs as little with as few errors."""
    found: list[dict[str, Any]] = []
    for row in sorted(rows, key=lambda row: (row[cost], _errors(row))):
        if not found or _errors(row) < _errors(found[-1]):
            found.append(row)
    return found


def save(picture: figure.Figure, path: Path) -> None:
    """Save a figure as SVG, with the same bytes each time."""
    with mpl.rc_context({"svg.hashsalt": "ltfn-zoo"}):
        picture.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def _errors(row: dict[str, Any]) -> float:
    return 100 * (1 - row["test_correct"] / row["test_count"])
