from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import numpy as np
import PIL.Image
import pytest

import zoo
from tests.conftest import ROOT
from tools import update_figures, update_notebook

LESSON = (ROOT / "docs" / "building-a-convnet.md").read_text(encoding="utf-8")


def test_the_lesson_runs_as_one_program(capsys: pytest.CaptureFixture) -> None:
    blocks = re.findall(r"```python\n(.*?)```", LESSON, re.DOTALL)
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "building-a-convnet.md", "exec"), names)
    told = capsys.readouterr().out
    assert len(blocks) == LESSON.count("```python")
    assert "ltfn3: 648,010 weights" in told
    assert "ltfn5-strided  321,738 weights" in told


def test_the_notebook_is_the_lesson() -> None:
    stored = update_notebook.NOTEBOOK.read_text(encoding="utf-8")
    assert update_notebook.notebook(LESSON) == stored, "run python -m tools.update_notebook"
    cells = nbformat.reads(stored, as_version=4).cells
    program = "".join(f"{cell.source}\n" for cell in cells if cell.cell_type == "code")
    assert program == "".join(re.findall(r"```python\n(.*?)```", LESSON, re.DOTALL))
    titles = [line for cell in cells for line in cell.source.splitlines() if line[:3] == "## "]
    assert titles == re.findall("^## .*", LESSON, re.MULTILINE)


def _anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    shown = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).strip().lower() for title in titles]
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in shown}


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))], ids=lambda page: page.stem
)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name, anchor in re.findall(r"\]\((?!http)([^)#\s]*)#?([^)\s]*)[^)]*\)", text):
        target = page.parent / name if name else page
        assert target.exists(), name
        if anchor:
            assert anchor in _anchors(target), f"{name}#{anchor}"


def test_the_lesson_is_drawn() -> None:
    assert re.findall(r"\]\((figures/[^)]+)\)", LESSON) == ["figures/ltfn5.svg"]
    stored = (update_figures.FIGURES / "ltfn5.svg").read_text(encoding="utf-8")
    assert ElementTree.fromstring(stored).tag == "{http://www.w3.org/2000/svg}svg"
    # matplotlib draws each text as shapes, after a comment that holds it.
    assert "<!-- 28x28x64 -->" in stored


def test_the_figures_are_those_of_the_code(tmp_path: Path) -> None:
    update_figures.write(tmp_path)
    hint = "run python -m tools.update_figures"
    folders = (tmp_path, update_figures.FIGURES)
    # pytest's description of a difference between such long texts would take minutes.
    assert len({(folder / "ltfn5.svg").read_bytes() for folder in folders}) == 1, hint
    drawn, stored = (np.asarray(PIL.Image.open(folder / "fits.png")) for folder in folders)
    assert np.array_equal(drawn, stored), hint


@pytest.mark.usefixtures("registered")
def test_the_network_of_the_page_on_own_networks_can_be_built() -> None:
    page = (ROOT / "docs" / "own-networks.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(compile(block, "own-networks.md", "exec"), {"__name__": "my_models"})
    assert zoo.create_model("my-net").output_shape == (None, 10)
