"""The results of trainings, and the tables and the page that are generated from them alone."""

from __future__ import annotations

from typing import Any


def place_of(result: dict[str, Any]) -> str:
    """Return the processor and the precision of a training."""
    return f"{result['machine']['processor']}, {result['precision']}"
