"""Write ``docs/building-a-convnet.ipynb`` from the page of the same name.

python -m tools.update_notebook
"""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from nbformat import v4

PAGE = Path(__file__).parent.parent / "docs" / "building-a-convnet.md"
NOTEBOOK = PAGE.with_suffix(".ipynb")


def main() -> None:
    """Write the notebook."""
    NOTEBOOK.write_text(notebook(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def notebook(page: str) -> str:
    """Return a page in Markdown as a notebook, with its Python blocks as cells without outputs."""
    parts = re.split(r"```python\n(.*?)```", page, flags=re.DOTALL)
    cells = []
    for number, part in enumerate(parts):
        make = v4.new_code_cell if number % 2 else v4.new_markdown_cell
        cells.append(make(part.strip("\n"), id=f"part-{number}"))
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    made = v4.new_notebook(cells=[cell for cell in cells if cell.source], metadata=kernel)
    nbformat.validate(made)
    return nbformat.writes(made) + "\n"


if __name__ == "__main__":
    main()
