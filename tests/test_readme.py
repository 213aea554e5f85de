"""README and the pages that detail it: snippets run, lists are complete, tables are generated."""

from __future__ import annotations

import collections
import itertools
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import zoo
from export.formats import FORMATS, Format
from tests.conftest import ROOT
from tools import update_tables
from zoo import recipes
from zoo.errors import EXIT_CODES

PAGES = {
    path: (ROOT / path).read_text(encoding="utf-8")
    for path in (
        "README.md",
        "docs/training.md",
        "docs/formats.md",
        "docs/data.md",
        "docs/reliability.md",
        "docs/benchmarks.md",
        "docs/results.md",
    )
}
README = PAGES["README.md"]
SNIPPETS = [
    pytest.param(path, snippet, id=f"{path}: {snippet.splitlines()[-1]}")
    for path, text in PAGES.items()
    for snippet in re.findall(r"```python\n(.*?)```", text, re.DOTALL)
]


def _section(path: str, title: str) -> str:
    """Return the text of one section of a page, up to the next heading of its level."""
    _, heading, rest = PAGES[path].partition(f"\n## {title}\n")
    assert heading, f"{path} has no section {title}"
    return rest.partition("\n## ")[0]


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) < 150


def test_the_readme_links_to_every_page() -> None:
    linked = re.findall(r"\]\((docs/[^)#]+)[^)]*\)", README)
    assert set(linked) == {f"docs/{page.name}" for page in ROOT.glob("docs/*.md")}


def test_there_are_snippets() -> None:
    assert len(SNIPPETS) == 4
    assert sum(text.count("```python") for text in PAGES.values()) == 4


@pytest.mark.parametrize(("path", "snippet"), SNIPPETS)
def test_snippet(
    path: str,
    snippet: str,
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.chdir(workplace)
    exec(compile(snippet, path, "exec"), {})
    assert capsys.readouterr().out.strip()


def test_the_test_command_ends_a_line() -> None:
    # .ci/run takes the command from the README.
    assert re.findall(r"^.* && \.venv/bin/python -m pytest$", README, re.MULTILINE)


def _table(path: str, *columns: str) -> list[tuple[list[str], list[str]]]:
    """Return the names in the first cell of each row of a table, and the other cells."""
    head, rule = (re.escape(f"| {' | '.join(columns)} |"), r"\|" + r"---\|" * len(columns))
    (rows,) = re.findall(rf"^{head}\n{rule}\n((?:\|.*\n)+)", PAGES[path], re.MULTILINE)
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows.splitlines()]
    return [(re.findall(r"`([\w-]+)`", first), rest) for first, *rest in cells]


def test_every_recipe_is_listed() -> None:
    rows = _table("docs/training.md", "recipe", "what it is")
    names = itertools.chain.from_iterable(names for names, _ in rows)
    assert sorted(names) == sorted(recipes.RECIPES)


def test_every_network_is_listed() -> None:
    listed: list[str] = []
    for names, _ in _table("README.md", "networks", "description"):
        stems = [name for name in names if name.endswith("-")]
        # A row of stems also names their endings: `all-cnn-`, `cnn-` with `a`, `b` or `c`.
        endings = [name for name in names if name not in stems] if stems else [""]
        listed += [stem + ending for stem in stems or names for ending in endings]
    assert sorted(listed) == sorted(zoo.list_models())


def test_every_format_is_listed() -> None:
    rows = _table("docs/formats.md", "format", "what it is", "input", "default")
    listed = [(name, cells[-1] == "yes") for names, cells in rows for name in names]
    assert listed == [(each.name, each.default) for each in FORMATS.values()]


def test_the_bounds_are_those_of_the_formats() -> None:
    columns = ("accuracy that it may lose", "images that may get another class", "logits")
    rows = _table("docs/formats.md", "format", *columns)
    listed = [(name, cells) for names, cells in rows for name in names]
    expected = [(each.name, _bounds(each)) for each in FORMATS.values() if not each.made_from]
    assert sorted(listed) == sorted(expected)


def _bounds(each: Format) -> list[str]:
    if each.max_loss is None:
        return ["none", "none", "within 1e-4 of their range"]
    images = f"{each.min_images} image{'s' if each.min_images > 1 else ''}"
    return [f"{each.max_loss:g} points, or {images}", f"{each.max_flips:g} %", ""]


def test_every_exit_code_is_listed() -> None:
    listed = _section("docs/reliability.md", "Exit codes")
    assert re.findall(r"\b\d+\b", listed) == re.findall(r"\b\d+\b", EXIT_CODES)


def test_every_generated_table_was_generated() -> None:
    marked = [
        (name, path)
        for path in {*PAGES, *update_tables.PAGES.values()}
        for name in re.findall(
            r"<!-- generated: (\S+) -->", (ROOT / path).read_text(encoding="utf-8")
        )
    ]
    assert collections.Counter(marked) == collections.Counter(update_tables.PAGES.items())
    for name in update_tables.PAGES:
        block = update_tables.read_block(name)
        assert block.startswith("| "), name
        is_of_results = update_tables.PAGES[name] == "docs/results.md"
        assert "TensorFlow" in block or is_of_results or name in ("trained", "gradients"), name


def test_a_block_is_replaced_in_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(update_tables, "ROOT", tmp_path)
    (tmp_path / "docs").mkdir()
    for path, text in PAGES.items():
        (tmp_path / path).write_text(text, encoding="utf-8")
    before = update_tables.read_block("recipes")
    update_tables.write_block("recipes", "| new |")
    for path, text in PAGES.items():
        expected = text.replace(before, "| new |\n") if path == "docs/benchmarks.md" else text
        assert (tmp_path / path).read_text(encoding="utf-8") == expected


def test_every_link_of_the_readme_leads_to_a_file() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)[^)]*\)", README):
        assert (ROOT / target).is_file(), target


def test_the_supported_pythons_are_named() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [
        each.removeprefix("Programming Language :: Python :: ") for each in project["classifiers"]
    ]
    assert f"with Python {named[0]} to {named[-1]}" in README
    supported = SpecifierSet(project["requires-python"])
    assert [f"3.{minor}" for minor in range(9, 20) if f"3.{minor}" in supported] == named


def test_every_dependency_is_constrained_within_its_bounds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    del extras["bench"]  # It is not pinned: users install the current versions.
    texts = itertools.chain(project["dependencies"], *extras.values())
    wanted = [each for each in map(Requirement, texts) if each.name != project["name"]]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    for requirement in wanted:
        assert str(requirement.specifier), requirement.name
        assert pinned[requirement.name] in requirement.specifier, requirement.name


@pytest.mark.parametrize("name", ["keras", "tensorflow"])
def test_the_next_release_is_not_installed_before_it_is_tried(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (requirement,) = (
        each for each in map(Requirement, project["dependencies"]) if each.name == name
    )
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = re.search(rf"^{name}==(\d+)\.(\d+)\.", constraints, re.MULTILINE)
    assert pinned
    assert f"{pinned[1]}.{int(pinned[2]) + 1}.0" not in requirement.specifier
