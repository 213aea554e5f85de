"""A progress bar for long work on data: on a terminal's standard error, and nowhere else."""

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
    """Yield the items, and show how many of them are done.

    Args:
        items: what is worked on.
        description: what is done, in a few words.
        total: of what the bar counts.
        each: of that, how many one item stands for.
    """
    console = rich_console.Console(stderr=True)
    bar = rich_progress.Progress(console=console, disable=not console.is_terminal, transient=True)
    with bar:
        task = bar.add_task(description, total=total)
        for item in items:
            yield item
            bar.advance(task, each)
