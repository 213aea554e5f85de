"""Redraw the figures of the documentation.

python tools/update_figures.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

import zoo
from zoo import commands, draw

FIGURES = Path(__file__).parent.parent / "docs" / "figures"


def main() -> None:
    """Draw ltfn5, the same bytes each time."""
    commands.start_tensorflow()
    mpl.rcParams["svg.hashsalt"] = "ltfn-zoo"
    picture = draw.draw(zoo.create_model("ltfn5"))
    picture.savefig(FIGURES / "ltfn5.svg", format="svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
