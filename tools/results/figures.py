"""Draw the accuracy of the exported files of the package's networks against their costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import figure

_COSTS = {"bytes": "size of the file, bytes", "microseconds": "time per image, us"}


def accuracies(rows: Sequence[dict[str, Any]]) -> figure.Figure:
    """Draw the accuracy of each file against its size and time; a line joins the frontier."""
    picture = figure.Figure(figsize=(10, 4.5), layout="constrained")
    formats = dict.fromkeys(row["format"] for row in rows)
    for axes, (cost, label) in zip(
        picture.subplots(1, 2, sharey=True), _COSTS.items(), strict=True
    ):
        for number, name in enumerate(formats):
            of_format = [row for row in rows if row["format"] == name]
            points = [[row[cost] for row in of_format], [_errors(row) for row in of_format]]
            axes.scatter(*points, s=30, color=f"C{number}", marker="osD^vPX*"[number], label=name)
        best = frontier(rows, cost)
        axes.plot(
            [row[cost] for row in best], [_errors(row) for row in best], "k--", lw=1, zorder=0,
            drawstyle="steps-post",
        )  # fmt: skip
        named = set()
        for row in best:
            if row["network"] not in named:
                named.add(row["network"])
                axes.annotate(
                    row["network"], (row[cost], _errors(row)), (4, 6), textcoords="offset points"
                )
        axes.set(xscale="log", yscale="log", xlabel=label)
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
        picture.savefig(path, format="svg", metadata={"Date": None})


def _errors(row: dict[str, Any]) -> float:
    return 100 * (1 - row["test_correct"] / row["test_count"])
