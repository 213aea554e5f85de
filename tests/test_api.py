"""Test the public functions: each has an example that works, and docs/api.md shows them all."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import PIL.Image
import pytest

import export
import zoo
from tools import update_api
from zoo.data import Dataset

FUNCTIONS = [*update_api.functions(zoo), *update_api.functions(export)]


@pytest.fixture
def folder(
    workplace: Path, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Return the current folder of the examples: a run, a bundle and a picture."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "ltfn5").symlink_to(workplace / "runs" / "ltfn5")
    (tmp_path / "exports" / "ltfn5").mkdir(parents=True)
    (tmp_path / "exports" / "ltfn5" / "1").symlink_to(workplace / "exports" / "ltfn5" / "1")
    PIL.Image.fromarray(digits.test.images[0, :, :, 0]).save(tmp_path / "digit.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("folder", "registered")
@pytest.mark.parametrize(("name", "function"), FUNCTIONS, ids=[name for name, _ in FUNCTIONS])
def test_the_example_of_a_function(
    name: str, function: Callable[..., Any], data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(data_dir))
    names = {"zoo": zoo, "export": export, "np": np, "keras": keras}
    (test,) = doctest.DocTestFinder(recurse=False).find(function, name, globs=names)
    assert test.examples, f"{name} has no example"
    told: list[str] = []
    doctest.DocTestRunner().run(test, out=told.append)
    assert not told, "".join(told)


def test_the_page_shows_all_functions() -> None:
    text = update_api.PAGE.read_text(encoding="utf-8")
    assert update_api.page() == text, "run python -m tools.update_api"
