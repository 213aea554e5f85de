from __future__ import annotations

import dataclasses
from pathlib import Path

import keras
import pytest

import zoo
from zoo import compare, recipes
from zoo.data import Dataset
from zoo.runs import Run
from zoo.training import experiment, precision

OTHER = {"float32": "bfloat16", "bfloat16": "float32"}


@pytest.mark.parametrize("fast", ["float32", "bfloat16"])
def test_the_faster_format_is_found(fast: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_MOST_IMAGES", 10)  # the same number for both
    monkeypatch.setattr(precision, "has_bfloat16", lambda: True)

    def build(name: str) -> keras.Model:
        return zoo.create_model("compact-4k" if name == fast else "ltfn5", precision=name)

    assert precision.fastest(build) == fast


def test_a_processor_without_bfloat16_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda: False)
    assert precision.fastest(lambda name: pytest.fail("it was measured")) == "float32"


@pytest.fixture
def few(digits: Dataset) -> Dataset:
    part = dataclasses.replace(
        digits.test, images=digits.test.images[:20], labels=digits.test.labels[:20]
    )
    return dataclasses.replace(digits, train=part, validation=part, test=part)


@pytest.mark.parametrize("found", ["float32", "bfloat16"])
def test_a_run_records_what_auto_came_to_and_keeps_to_it(
    few: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: str
) -> None:
    recipe = recipes.get_recipe("quick").replace(steps=2, batch_size=4)
    assert recipe.precision == "auto"
    run = Run(tmp_path / "run")
    monkeypatch.setattr(precision, "fastest", lambda build: found)
    whole = experiment.run_experiment("ltfn1", few, recipe, run)
    assert whole["precision"] == whole["recipe"]["precision"] == found
    # A later choice changes neither an unfinished run nor the finished run of a study.
    monkeypatch.setattr(precision, "fastest", lambda build: OTHER[found])
    job = compare.Job("ltfn1", few, recipe, run, lambda: OTHER[found])
    assert job.result()["precision"] == found
    run.result.unlink()
    assert experiment.run_experiment("ltfn1", few, recipe, run)["precision"] == found
