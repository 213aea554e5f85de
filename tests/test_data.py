from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tests.conftest import MNIST_DIR, needs_mnist
from zoo import data
from zoo.data import Dataset
from zoo.errors import InputError
from zoo.splits import Split, stratified


@pytest.fixture(autouse=True)
def no_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZOO_MANUAL_DIR", raising=False)


def test_digits_are_whole_disjoint_and_stratified(digits: Dataset) -> None:
    splits = (digits.train, digits.validation, digits.test)
    assert sum(map(len, splits)) == 1797
    images = np.concatenate([split.images for split in splits])
    assert images.shape == (1797, 28, 28, 1)
    assert images.dtype == np.uint8
    assert len({image.tobytes() for image in images}) == 1797
    for split, share in zip(splits, (0.7, 0.1, 0.2), strict=True):
        counts = np.bincount(split.labels, minlength=10)
        assert counts.min() >= share * 174 - 1
        assert counts.max() <= share * 183 + 1


def test_digits_look_as_mnist_does(digits: Dataset) -> None:
    images = digits.train.images
    assert not images[:, :4].any()
    assert not images[:, -4:].any()
    assert not images[:, :, :4].any()
    assert not images[:, :, -4:].any()
    assert images.max() == 255
    # MNIST's mean pixel is 33.3; ink on black, not black on white.
    assert 20 < images.mean() < 60


def test_auto_without_mnist_says_so_and_takes_the_digits(
    data_dir: Path, digits: Dataset, tmp_path: Path
) -> None:
    lines: list[str] = []
    shutil.copytree(data_dir / "digits", tmp_path / "digits")
    found = data.load("auto", data_dir=str(tmp_path), offline=True, announce=lines.append)
    assert found.name == "digits"
    np.testing.assert_array_equal(found.test.images, digits.test.images)
    assert "NOT MNIST" in lines[0]


def test_mnist_without_a_way_to_it_names_three(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\(1\) a network .*--manual-dir.*--data-dir"):
        data.load("mnist", data_dir=str(tmp_path), offline=True)


def test_a_host_that_does_not_answer_is_given_up_on() -> None:
    assert not data._answers("http://127.0.0.1:9/")


def test_a_manual_folder_that_lacks_files_names_them(tmp_path: Path) -> None:
    (tmp_path / data.MNIST_FILES[0]).touch()
    with pytest.raises(InputError, match=r"lacks train-labels.*, t10k-images.*, t10k-labels"):
        data.load("auto", data_dir=str(tmp_path), manual_dir=str(tmp_path))


def test_an_altered_manual_file_is_refused(tmp_path: Path) -> None:
    for name in data.MNIST_FILES:
        (tmp_path / name).write_bytes(b"not MNIST")
    with pytest.raises(InputError, match="not the original"):
        data.load("mnist", data_dir=str(tmp_path / "tfds"), manual_dir=str(tmp_path))


def test_a_folder_never_hides_a_known_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mnist", "digits", "pets"):
        (tmp_path / name).mkdir()
    assert [data.is_folder(name) for name in ("mnist", "digits", "pets", "./mnist", "cats")] == [
        False,
        False,
        True,
        True,
        False,
    ]


def test_the_variable_is_mnists_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_MANUAL_DIR", str(tmp_path))
    with pytest.raises(InputError, match="fashion_mnist is not prepared"):
        data.load("fashion_mnist", data_dir=str(tmp_path), offline=True)
    with pytest.raises(InputError, match="the manual folder"):
        data.load("mnist", data_dir=str(tmp_path), offline=True)


def test_an_unknown_set_is_refused() -> None:
    with pytest.raises(
        InputError,
        match=r"unknown data set 'mnits'; did you mean 'mnist'\? allowed: auto, digits, a tensor",
    ):
        data.load("mnits")


class Stripes(tfds.core.GeneratorBasedBuilder):
    """A registered set as others are, but small: pictures of three sizes, in one split."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "label": tfds.features.ClassLabel(names=["dark", "light"]),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        return {"train": self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for index in range(40):
            image = np.full((8 + index % 3, 9, 3), 200 * (index % 2), np.uint8)
            yield index, {"image": image, "label": index % 2}


def test_any_registered_set_is_read_and_split(tmp_path: Path) -> None:
    stripes = data.load("stripes", image_size=(6, 7), data_dir=str(tmp_path), offline=False)
    assert (stripes.image_shape, stripes.class_names) == ((6, 7, 3), ("dark", "light"))
    assert [len(split) for split in (stripes.train, stripes.validation, stripes.test)] == [28, 4, 8]
    for split in (stripes.train, stripes.validation, stripes.test):
        assert np.bincount(split.labels).tolist() == [len(split) // 2] * 2
        np.testing.assert_array_equal(split.images[:, 0, 0, 0], 200 * split.labels)
    with pytest.raises(InputError, match="differ in size; give one with --image-size"):
        data.load("stripes", data_dir=str(tmp_path))


def test_another_set_without_a_way_to_it_names_three(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"fashion_mnist is not prepared .*\(1\) a network"):
        data.load("fashion_mnist", data_dir=str(tmp_path), offline=True)


def test_a_set_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="imdb_reviews is no image classification set"):
        data.load("imdb_reviews", data_dir=str(tmp_path))


def test_a_data_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot prepare digits"):
        data.load("digits", data_dir=str(tmp_path / "file" / "tfds"))


@needs_mnist
def test_mnist_comes_from_the_manual_folder(tmp_path: Path) -> None:
    mnist = data.load("auto", data_dir=str(tmp_path), manual_dir=MNIST_DIR, offline=True)
    assert (len(mnist.train), len(mnist.validation), len(mnist.test)) == (55_000, 5_000, 10_000)
    assert mnist.image_shape == (28, 28, 1)
    assert mnist.train.images.mean() == pytest.approx(33.3, abs=0.2)
    assert np.bincount(mnist.test.labels)[1] == 1135
    # Prepared now: the manual folder is needed no more.
    again = data.load("mnist", data_dir=str(tmp_path), offline=True)
    np.testing.assert_array_equal(again.train.labels, mnist.train.labels)


def test_stratified_takes_the_first_of_each_class() -> None:
    split = Split("train", np.zeros((6, 1, 1, 1), np.uint8), np.array([1, 0, 1, 1, 0, 0]))
    assert stratified(split, 4).tolist() == [0, 1, 2, 4]


def test_a_set_is_decoded_once_and_memory_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = data.load("digits", data_dir=str(tmp_path))
    (kept,) = tmp_path.glob("digits/1.0.0/decoded/28x28/train.images.npy")
    # Were they decoded again, the altered pixel would not be seen.
    images = np.load(kept, mmap_mode="r+")
    images[0, 0, 0] = 77
    images.flush()
    again = data.load("digits", data_dir=str(tmp_path))
    assert isinstance(again.train.images, np.memmap)
    assert again.train.images[0, 0, 0] == 77
    np.testing.assert_array_equal(again.train.images[1:], first.train.images[1:])
    np.testing.assert_array_equal(again.train.labels, first.train.labels)
    # Another size is another array; a lost one is decoded anew.
    assert data.load("digits", data_dir=str(tmp_path), image_size=(9, 8)).image_shape == (9, 8, 1)
    kept.unlink()
    assert data.load("digits", data_dir=str(tmp_path)).train.images[0, 0, 0] == 0


def test_where_nothing_can_be_written_each_start_decodes(tmp_path: Path) -> None:
    first = data.load("digits", data_dir=str(tmp_path))
    decoded = tmp_path / "digits" / "1.0.0" / "decoded"
    shutil.rmtree(decoded)
    decoded.write_text("in the way")
    told: list[str] = []
    again = data.load("digits", data_dir=str(tmp_path), announce=told.append)
    assert len(told) == 3
    assert "cannot be written" in told[0]
    np.testing.assert_array_equal(again.test.images, first.test.images)
