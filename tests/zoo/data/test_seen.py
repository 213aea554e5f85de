"""Test that images which a network has been trained on do not count as test images in silence."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

import zoo
from zoo import evaluate
from zoo.data import seen
from zoo.data.splits import Split
from zoo.errors import InputError


def _split(name: str, *values: int) -> Split:
    images = np.array(values, np.uint8)[:, None, None, None] * np.ones((1, 4, 5, 1), np.uint8)
    return Split(name, images, np.zeros(len(values), np.int64))


def test_images_of_a_training_and_of_earlier_ones_are_known(tmp_path: Path) -> None:
    first, second, none = (tmp_path / name for name in ("first.npy", "second.npy", "none.npy"))
    seen.write(first, _split("train", 1, 2), [])
    seen.write(second, _split("train", 2, 3), [first, none])
    assert seen.count(first, _split("test", 1, 1, 3)) == 2
    assert seen.count(second, _split("test", 0, 1, 2, 3, 4)) == 3
    assert seen.count(none, _split("test", 1)) == 0
    assert seen.warning("runs/old", first, _split("test", 7)) is None
    assert seen.warning("runs/old", first, _split("test", 1, 7)) == (
        "WARNING: runs/old was trained on 1 of the 2 test images, so the test accuracy is not that "
        "of new images"
    )


def _write(folder: Path, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for number in range(count):
        for name in ("a", "b"):
            (folder / name).mkdir(parents=True, exist_ok=True)
            picture = PIL.Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8))
            picture.save(folder / name / f"{seed}-{number}.png")


def test_a_folder_that_grew_is_not_tested_in_silence(
    tmp_path: Path, data_dir: Path, capsys: pytest.CaptureFixture
) -> None:
    pictures, place = tmp_path / "pictures", str(data_dir)
    _write(pictures, 20, seed=0)
    old = tmp_path / "old"
    settings: dict[str, Any] = {"steps": 2, "batch_size": 4, "precision": "float32"}
    zoo.train_model(
        "ltfn1",
        zoo.load_data(str(pictures), image_size=(8, 8), data_dir=place),
        out=old,
        **settings,
    )
    assert "WARNING" not in capsys.readouterr().out
    evaluate.main([str(old), "--data-dir", place])
    assert "WARNING" not in capsys.readouterr().err

    _write(pictures, 2, seed=1)
    grown = zoo.load_data(str(pictures), image_size=(8, 8), data_dir=place)
    message = rf"{old} was trained on \d+ of the {len(grown.test)} test images"
    how: dict[str, Any]
    for how in ({"weights": old}, {"teachers": [old]}):
        zoo.train_model("ltfn1", grown, out=tmp_path / "new", force=True, **how, **settings)
        assert _matches(message, capsys.readouterr().out)
    # What the new run has learned from the old one, it has learned too.
    assert np.isin(np.load(old / "trained-on.npy"), np.load(tmp_path / "new/trained-on.npy")).all()
    with pytest.raises(InputError, match="the dataset differs from the record"):
        evaluate.main([str(old), "--data-dir", place])
    evaluate.main([str(old), "--data", str(pictures), "--data-dir", place])
    assert _matches(rf"{old} was trained on 28 of the 44 test images", capsys.readouterr().err)


def _matches(pattern: str, text: str) -> bool:
    (line,) = (line for line in text.splitlines() if line.startswith("WARNING: "))
    return re.search(pattern, line) is not None
