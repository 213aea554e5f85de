"""A progress bar for long work on data, shown only if standard error is a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from etils import epy

with epy.lazy_imports():
    from rich import console as rich_console
    from rich import progress as rich_progress

_Item = TypeVar("_Item")


def track(
    items: Iterable[_Item], description: str, total: int, *, each: int = 1
) -> Iterator[_Item]:
    """Yield the items, and show the progress.

    Args:
        items: the items to process.
        description: short description of the work.
        total: total number of units that the bar counts.
        each: number of units per item.
    """
    console = rich_console.Console(stderr=True)
    bar = rich_progress.Progress(console=console, disable=not console.is_terminal, transient=True)
    with bar:
        task = bar.add_task(description, total=total)
        for item in items:
            yield item
            bar.advance(task, each)
