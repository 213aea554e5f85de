"""Test the public functions: each has an example that works, and docs/api.md shows them all."""

from __future__ import annotations

import doctest
import pkgutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import pytest

import export
import zoo
from tools import update_api

FUNCTIONS = [*update_api.functions(zoo), *update_api.functions(export)]


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(("name", "function"), FUNCTIONS, ids=[name for name, _ in FUNCTIONS])
def test_the_example_of_a_function(
    name: str,
    function: Callable[..., Any],
    examples: Path,
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(examples)
    monkeypatch.setenv("TFDS_DATA_DIR", str(data_dir))
    names = {"zoo": zoo, "export": export, "np": np, "keras": keras}
    (test,) = doctest.DocTestFinder(recurse=False).find(function, name, globs=names)
    assert test.examples, f"{name} has no example"
    told: list[str] = []
    doctest.DocTestRunner().run(test, out=told.append)
    assert not told, "".join(told)


@pytest.mark.parametrize("package", [zoo, export], ids=["zoo", "export"])
def test_no_module_hides_a_public_function(package: ModuleType) -> None:
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    assert not modules & set(package.__all__)


def test_the_page_shows_all_functions() -> None:
    text = update_api.PAGE.read_text(encoding="utf-8")
    assert update_api.page() == text, "run python -m tools.update_api"
