"""Test that imports lead to lower layers, and that docs/design.md matches the code."""

from __future__ import annotations

import graphlib
import re
from pathlib import Path

import pytest

from tools import update_design
from tools.update_design import LAYERS, arrows, imports, modules


def test_no_arrow_leads_up() -> None:
    heights = {part: height for height, layer in enumerate(reversed(LAYERS)) for part in layer}
    found = arrows()
    assert {part for pair in found for part in pair} == heights.keys()
    assert [pair for pair in sorted(found) if heights[pair[0]] <= heights[pair[1]]] == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    # A package's __init__ imports its submodules to export their names.
    known = modules()
    graph = {
        module: {each for each in imports(path, known) if each != module.rpartition(".")[0]}
        for module, path in known.items()
    }
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) == len(graph)


def test_the_tools_are_imported_by_nobody() -> None:
    for path in modules().values():
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"^\s*(from|import) tools\b", text, re.MULTILINE), path


def test_an_import_that_leads_up_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "zoo" / "data").mkdir(parents=True)
    (tmp_path / "export").mkdir()
    for name in ("__init__.py", "card.py"):
        (tmp_path / "export" / name).touch()
    (tmp_path / "zoo" / "data" / "wrong.py").write_text("def f():\n    from export import card\n")
    monkeypatch.setattr(update_design, "ROOT", tmp_path)
    assert arrows() == {("zoo.data", "export commands")}


def test_the_page_shows_the_code() -> None:
    text = update_design.PAGE.read_text(encoding="utf-8")
    assert update_design.page(text) == text, "run python -m tools.update_design"
