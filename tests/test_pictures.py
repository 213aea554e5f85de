from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import Command
from zoo import data
from zoo.data import Dataset
from zoo.errors import InputError


def _write(folder: Path, images: np.ndarray, ending: str = ".png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    encode = tf.io.encode_png if ending == ".png" else tf.io.encode_jpeg
    for number, image in enumerate(images):
        (folder / f"{number:03d}{ending}").write_bytes(encode(image).numpy())


@pytest.fixture
def folder(tmp_path: Path, digits: Dataset) -> Path:
    """Twenty pictures each of zeros and ones, as a person keeps them."""
    root = tmp_path / "mine"
    for digit, name in enumerate(("zero", "one")):
        _write(root / name, digits.train.images[digits.train.labels == digit][:20])
    (root / "one" / "notes.txt").touch()
    (root / ".cache").mkdir()
    return root


def _load(folder: Path, size: tuple[int, int] = (28, 28), **options: Any) -> Dataset:
    settings: dict[str, Any] = {"data_dir": str(folder.parent / "tfds"), "image_size": size}
    return data.load(str(folder), **settings | options)


def test_a_folder_is_split_and_keeps_its_pixels(folder: Path, digits: Dataset) -> None:
    mine = _load(folder)
    assert mine.class_names == ("one", "zero")
    assert mine.image_shape == (28, 28, 1)
    splits = (mine.train, mine.validation, mine.test)
    assert [np.bincount(split.labels).tolist() for split in splits] == [[14, 14], [2, 2], [4, 4]]
    expected = {}
    for digit in (0, 1):
        for image in digits.train.images[digits.train.labels == digit][:20]:
            expected[image.tobytes()] = ("zero", "one")[digit]
    found = {
        image.tobytes(): mine.class_names[label]
        for split in splits
        for image, label in zip(split.images, split.labels, strict=True)
    }
    assert found == expected


def test_one_colour_picture_makes_all_colour_and_the_size_is_kept_to(folder: Path) -> None:
    _write(folder / "zero", np.full((1, 40, 30, 3), [250, 10, 10], np.uint8), ".jpg")
    mine = _load(folder, (20, 16))
    assert mine.image_shape == (20, 16, 3)
    images = np.concatenate([mine.train.images, mine.validation.images, mine.test.images])
    red = np.abs(images.astype(int) - [250, 10, 10]).max(axis=(1, 2, 3)) < 8
    assert red.sum() == 1


def test_a_persons_own_splits_are_kept(folder: Path) -> None:
    own = folder.parent / "own"
    shutil.copytree(folder, own / "train")
    shutil.copytree(folder, own / "test")
    for path in (own / "test").glob("*/0[1-9]*.png"):
        path.unlink()
    mine = _load(own)
    # Without a validation folder a tenth of the training pictures is held out.
    assert [len(split) for split in (mine.train, mine.validation, mine.test)] == [36, 4, 20]


def test_preparing_is_paid_once_and_again_when_a_picture_changed(folder: Path) -> None:
    lines: list[str] = []
    first = _load(folder, announce=lines.append)
    _load(folder, announce=lines.append)
    assert len(lines) == 1
    _write(folder / "one", np.zeros((1, 28, 28, 1), np.uint8))
    changed = _load(folder, announce=lines.append)
    assert len(lines) == 2
    assert len(changed.train) == len(first.train)


def test_what_is_wrong_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no folder \./nothing"):
        data.load("./nothing", image_size=(28, 28))
    with pytest.raises(InputError, match="need a size"):
        data.load(str(folder))
    broken = folder / "one" / "004.png"
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(InputError, match=r"one/004\.png is not a picture"):
        _load(folder)
    shutil.rmtree(folder / "one")
    with pytest.raises(InputError, match="at least two classes, it holds 1"):
        _load(folder)
    (folder / "one").mkdir()
    with pytest.raises(InputError, match=r"mine/one holds 0 pictures .* at least 10"):
        _load(folder)
    own = tmp_path / "own"
    (own / "test" / "two").mkdir(parents=True)
    with pytest.raises(InputError, match="has test but no train folder"):
        _load(own)
    for name in ("zero", "one"):
        _write(own / "train" / name, np.zeros((1, 8, 8, 1), np.uint8))
    with pytest.raises(InputError, match="test/two is a class that the train folder lacks"):
        _load(own)


@pytest.mark.slow
def test_a_folder_becomes_a_bundle(folder: Path, command: Command) -> None:
    place = folder.parent
    trained = command(
        "zoo.train", "compact-4k", "--data", "./mine", "--steps", 60, "--image-size", 20, cwd=place
    )
    assert trained.returncode == 0, trained.stderr
    exported = command("export", "runs/compact-4k", cwd=place)
    assert exported.returncode == 0, exported.stderr
    manifest = json.loads((place / "exports/compact-4k/1/manifest.json").read_text())
    assert manifest["labels"] == ["one", "zero"]
    assert manifest["data"]["name"] == "./mine"
    for artifact in manifest["artifacts"]:
        assert artifact["inputs"]["image"]["shape"][1:] == [20, 20, 1]
        assert (artifact["test_count"], artifact["test_correct"]) == (8, 8)
    _write(folder / "one", np.zeros((1, 28, 28, 1), np.uint8))
    shutil.rmtree(folder / "zero")
    gone = command("export", "runs/compact-4k", cwd=place)
    assert gone.returncode == 2
