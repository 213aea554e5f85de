from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

import zoo
from tools import release
from zoo import recipes, weights
from zoo.data import Dataset
from zoo.inference import predict_fn
from zoo.metrics import evaluate
from zoo.runs import Run
from zoo.training.experiment import run_experiment


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return an empty folder that stands for that of the released networks."""
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setattr(weights, "_FOLDER", folder)
    weights.released.cache_clear()
    yield folder
    weights.released.cache_clear()


def test_the_best_on_validation_is_released(
    package: Path, digits: Dataset, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(data_dir))
    recipe = recipes.get_recipe("quick").replace(precision="float32", batch_size=50)
    results = []
    for seed, steps in ((0, 1), (1, 40)):
        run = Run(tmp_path / "study" / f"ltfn1-seed{seed}")
        results.append(run_experiment("ltfn1", digits, recipe.replace(seed=seed, steps=steps), run))
    release.main([str(tmp_path / "study")])
    weights.released.cache_clear()

    facts = weights.released()["ltfn1"]
    assert (facts["seed"], facts["dataset"]) == (1, "digits")
    assert facts["accuracies"] == [result["test_accuracy"] for result in results]
    monkeypatch.chdir(tmp_path)
    score = evaluate(predict_fn(zoo.load_model("ltfn1")), digits.test)
    assert score.correct == facts["test_correct"]
    trained = zoo.load_model("study/ltfn1-seed1").get_weights()
    for ours, theirs in zip(zoo.load_model("ltfn1").get_weights(), trained, strict=True):
        np.testing.assert_array_equal(ours, theirs.astype(np.float16).astype(np.float32))
    assert json.loads((package / "release.json").read_text()).keys() == {"ltfn1"}


def test_weights_are_copied_in_another_format(tmp_path: Path) -> None:
    model = zoo.create_model("compact-4k")
    whole, half = (tmp_path / f"{name}.weights.h5" for name in ("whole", "half"))
    model.save_weights(whole)
    release.store(whole, half, np.float16)
    kinds = set()
    with h5py.File(half) as content:
        content.visititems(lambda name, item: kinds.add(getattr(item, "dtype", None)))
    assert kinds == {None, np.dtype(np.float16)}
    assert half.stat().st_size < whole.stat().st_size
    other = zoo.create_model("compact-4k")
    other.load_weights(half)
    for ours, theirs in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs.astype(np.float16).astype(np.float32))
