from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import zoo
from tools import release
from zoo import recipes, weights
from zoo.data import Dataset
from zoo.errors import InputError
from zoo.inference import predict_fn
from zoo.metrics import evaluate
from zoo.runs import Run, records
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


def _study(folder: Path, dataset: Dataset) -> dict[int, dict[str, Any]]:
    """Train one network with two seeds; return the result of each."""
    recipe = recipes.get_recipe("quick").replace(precision="float32", batch_size=50, steps=20)
    runs = {seed: Run(folder / f"ltfn1-seed{seed}") for seed in (0, 1)}
    for seed, run in runs.items():
        run_experiment("ltfn1", dataset, recipe.replace(seed=seed), run)
    return {seed: run.read_result() for seed, run in runs.items()}


def test_the_best_on_validation_is_released(
    package: Path, digits: Dataset, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(data_dir))
    results = _study(tmp_path / "study", digits)
    # The worst on the test images is the best on the validation images.
    worst = min(results, key=lambda seed: results[seed]["test_accuracy"])
    for seed, result in results.items():
        changed = result | {"validation_accuracy": 1.0 if seed == worst else 0.5}
        records.write(Run(tmp_path / "study" / f"ltfn1-seed{seed}").result, changed)
    assert len({result["test_accuracy"] for result in results.values()}) == 2
    release.main([str(tmp_path / "study")])
    weights.released.cache_clear()

    facts = weights.released()["ltfn1"]
    assert (facts["seed"], facts["dataset"]) == (worst, "digits")
    assert facts["recipe"] == "quick batch_size=50 steps=20"
    assert facts["accuracies"] == [result["test_accuracy"] for result in results.values()]
    monkeypatch.chdir(tmp_path)
    score = evaluate(predict_fn(zoo.load_model("ltfn1")), digits.test)
    assert score.correct == facts["test_correct"]
    trained = zoo.load_model(f"study/ltfn1-seed{worst}").get_weights()
    for ours, theirs in zip(zoo.load_model("ltfn1").get_weights(), trained, strict=True):
        np.testing.assert_array_equal(ours, theirs.astype(np.float16).astype(np.float32))
    assert json.loads((package / "release.json").read_text()).keys() == {"ltfn1"}


def test_weights_stay_in_float32_if_float16_changes_a_class(
    package: Path, digits: Dataset, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(data_dir))
    _study(tmp_path / "study", digits)

    def store_zeros(source: Path, target: Path, dtype: type) -> None:
        shutil.copyfile(source, target)
        with h5py.File(target, "r+") as content:
            content.visititems(
                lambda name, item: (
                    item.write_direct(np.zeros_like(item))
                    if isinstance(item, h5py.Dataset)
                    else None
                )
            )

    monkeypatch.setattr(release, "store", store_zeros)
    release.main([str(tmp_path / "study")])
    weights.released.cache_clear()
    monkeypatch.chdir(tmp_path)
    seed = weights.released()["ltfn1"]["seed"]
    trained = zoo.load_model(f"study/ltfn1-seed{seed}").get_weights()
    for ours, theirs in zip(zoo.load_model("ltfn1").get_weights(), trained, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_copied_run_is_not_released(package: Path, digits: Dataset, tmp_path: Path) -> None:
    _study(tmp_path / "study", digits)
    shutil.copytree(tmp_path / "study" / "ltfn1-seed0", tmp_path / "study" / "ltfn1-seed0-old")
    with pytest.raises(InputError, match="move it out of the study, so that no run counts twice"):
        release.main([str(tmp_path / "study")])
    assert not list(package.iterdir())


def test_seeds_of_several_precisions_are_not_released(
    package: Path, digits: Dataset, tmp_path: Path
) -> None:
    run = Run(tmp_path / "study" / "ltfn1-seed0")
    result = _study(tmp_path / "study", digits)[0]
    faster = {"precision": "bfloat16", "recipe": result["recipe"] | {"precision": "bfloat16"}}
    records.write(run.result, result | faster)
    with pytest.raises(InputError, match=r"trained in bfloat16 on .* and in float32 on "):
        release.main([str(tmp_path / "study")])
    assert not list(package.iterdir())


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
