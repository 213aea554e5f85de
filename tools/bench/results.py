"""What a benchmark found: figures with the facts of their machine, and the tables made of them."""

from __future__ import annotations

import datetime
import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from zoo.util import atomic
from zoo.util.environment import machine, versions

FOLDER = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Result:
    """One item's outcome.

    Attributes:
        title: what was measured, in one line.
        columns: of the table.
        rows: its cells, as a person reads them.
        notes: how it was measured, and what a reader should know.
        headlines: the few figures for the project's README, each with what it says.
        figures: every single measurement.
    """

    title: str
    columns: list[str]
    rows: list[list[str]]
    notes: str
    headlines: dict[str, str]
    figures: dict[str, Any] = field(default_factory=dict)


def save(item: str, result: Result, seconds: float) -> None:
    """Keep an item's result, and make the tables anew."""
    FOLDER.mkdir(exist_ok=True)
    facts = {
        "date": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
        "seconds": round(seconds),
        "machine": machine(),
        "versions": versions(),
    }
    atomic.write_json(FOLDER / f"{item}.json", facts | asdict(result))
    with atomic.staged(FOLDER / "README.md") as stage:
        stage.write_text(tables(), encoding="utf-8")


def load(item: str) -> dict[str, Any]:
    """Return what ``save`` kept of an item."""
    return json.loads((FOLDER / f"{item}.json").read_text(encoding="utf-8"))


def kept() -> list[str]:
    """Return the items that have a result."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def tables() -> str:
    """Return every kept result as Markdown."""
    parts = ["# Measured\n\nWritten by `python -m tools.bench`; no figure here is typed by hand.\n"]
    for item in kept():
        result = load(item)
        parts.append(
            f"## {item}: {result['title']}\n\n{table(result['columns'], result['rows'])}\n\n"
            f"{result['notes']} ({place(result)}; {result['seconds']} s)\n"
        )
    return "\n".join(parts)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def place(result: dict[str, Any]) -> str:
    """Return when and where a result was measured."""
    facts, names = result["machine"], result["versions"]
    flags = ", ".join(facts["flags"])
    return (
        f"{result['date']}, {facts['processor']}, {facts['cores']} cores, {flags}; "
        f"TensorFlow {names['tensorflow']}, Keras {names['keras']}, Python {names['python']}"
    )


def median(values: Sequence[float]) -> float:
    """Return the median of repeated measurements."""
    return statistics.median(values)


def spread(values: Sequence[float]) -> str:
    """Return the median with the range of the measurements."""
    return f"{median(values):.3g} ({min(values):.3g} to {max(values):.3g})"
