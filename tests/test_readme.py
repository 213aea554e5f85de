"""The README's promises: its snippets run, its codes and recipes are the real ones."""

from __future__ import annotations

import itertools
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import zoo
from tests.conftest import ROOT
from zoo.errors import EXIT_CODES
from zoo.training import recipes

README = (ROOT / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_there_are_snippets() -> None:
    assert len(SNIPPETS) == 4


@pytest.mark.parametrize("snippet", SNIPPETS, ids=[text.splitlines()[-1] for text in SNIPPETS])
def test_snippet(
    snippet: str, workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(workplace)
    exec(compile(snippet, "README.md", "exec"), {})
    assert capsys.readouterr().out.strip()


def test_every_recipe_is_listed() -> None:
    rows = re.search(r"\| recipe \| what it is \|\n\|---\|---\|\n((?:\|.*\n)+)", README)
    assert rows
    names = [row.split("|")[1] for row in rows[1].splitlines()]
    assert set(re.findall(r"`([\w-]+)`", " ".join(names))) == set(recipes.RECIPES)


def test_every_network_is_listed() -> None:
    listed = README[README.index("## Choose a network") : README.index("## Use a network")]
    names = set(re.findall(r"`([\w-]+)`", listed))
    names |= {family + letter for family in names if family.endswith("-") for letter in "abc"}
    assert set(zoo.list_models()) <= names


def test_every_exit_code_is_listed() -> None:
    listed = README[README.index("## Exit codes") : README.index("## Where things are")]
    assert re.findall(r"\b\d+\b", listed) == re.findall(r"\b\d+\b", EXIT_CODES)


def test_every_generated_table_was_generated() -> None:
    blocks = dict(re.findall(r"<!-- generated: (\w+) -->\n(.*?)<!-- end -->", README, re.DOTALL))
    assert blocks.keys() == {"digits", "mnist", "recipes", "study", "bench"}
    for name, block in blocks.items():
        assert block.startswith("| "), name
        assert "TensorFlow" in block, name


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
    del extras["bench"]  # It is installed by who needs it, in the version of the day.
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
