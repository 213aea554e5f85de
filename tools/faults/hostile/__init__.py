"""Files that run code, use much memory, or reach other files, if they are opened carelessly."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

MARK = "owned"
"""Name of the file that the code in a hostile file makes."""

MANY = 10**10
"""Number of values that fit into the memory of few machines."""


@dataclass(frozen=True)
class Touch:
    """Makes the marking file when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Return a call of a shell instead of the content."""
        return os.system, (f"touch {MARK}",)
