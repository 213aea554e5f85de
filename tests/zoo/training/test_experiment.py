from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from zoo import recipes
from zoo.data import Dataset
from zoo.errors import InputError
from zoo.runs import Run
from zoo.training.experiment import run_experiment


def test_a_run_that_another_process_has_just_finished_stays_as_it_is(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipes.get_recipe("quick").replace(steps=2, batch_size=16, precision="float32")
    run = Run(tmp_path / "run")
    run_experiment("ltfn1", digits, recipe, run)
    result = run.result.read_bytes()
    run.result.unlink()

    @contextmanager
    def finished_by_another() -> Iterator[None]:
        run.result.write_bytes(result)
        yield

    monkeypatch.setattr(run, "owned", finished_by_another)
    with pytest.raises(InputError, match="is finished: there is nothing to resume"):
        run_experiment("ltfn1", digits, recipe, run)
    assert run.result.read_bytes() == result
