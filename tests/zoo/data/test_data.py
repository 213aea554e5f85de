from __future__ import annotations

import os
import shutil
import string
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import tensorflow_datasets as tfds
from filelock import FileLock

from tests.conftest import needs_mnist
from zoo import data
from zoo.data import Dataset, preprocessing, tfds_sets
from zoo.data.splits import Split, stratified
from zoo.errors import InputError


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
    # White on black, as in MNIST, whose mean pixel is 33.3.
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
    with pytest.raises(
        InputError, match=r"\(1\) an internet .*--manual-dir or ZOO_MANUAL_DIR.*--data-dir"
    ):
        data.load("mnist", data_dir=str(tmp_path), offline=True)


def test_a_host_that_refuses_the_connection_does_not_answer() -> None:
    assert not tfds_sets._answers("http://127.0.0.1:9/")


def test_a_manual_folder_that_lacks_files_names_them(tmp_path: Path) -> None:
    (tmp_path / tfds_sets.MNIST_FILES[0]).touch()
    with pytest.raises(InputError, match=r"lacks train-labels.*, t10k-images.*, t10k-labels"):
        data.load("auto", data_dir=str(tmp_path), manual_dir=str(tmp_path))


def test_an_altered_manual_file_is_refused(tmp_path: Path) -> None:
    for name in tfds_sets.MNIST_FILES:
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
        match=r"unknown dataset 'mnits'; did you mean 'mnist'\? allowed: auto, digits, a tensor",
    ):
        data.load("mnits")


def test_a_folder_with_a_similar_name_is_suggested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"'mnits'; did you mean 'mnist'.* no folder 'mnits' here"):
        data.check_name("mnits")
    (tmp_path / "Fruit").mkdir()
    (tmp_path / "frut.txt").touch()
    (tmp_path / "units").mkdir()
    with pytest.raises(InputError, match=r"unknown dataset 'frut'; did you mean 'Fruit'\?"):
        data.check_name("frut")
    with pytest.raises(InputError, match=r"unknown dataset 'mnits'; did you mean 'units'\?"):
        data.check_name("mnits")


class Small:
    """What small registered datasets share: two classes, in one split."""

    VERSION = tfds.core.Version("1.0.0")
    SHAPE: tuple[int | None, int | None, int] = (None, None, 3)

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "image": tfds.features.Image(shape=self.SHAPE),
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
        raise NotImplementedError


class Stripes(Small, tfds.core.GeneratorBasedBuilder):
    """Pictures of three sizes."""

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
    with pytest.raises(InputError, match="of 3 channels cannot be converted to 2"):
        data.load("stripes", image_size=(6, 7), channels=2, data_dir=str(tmp_path))


class Glass(Small, tfds.core.GeneratorBasedBuilder):
    """Half transparent pictures."""

    SHAPE = (8, 8, 4)

    def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for index in range(40):
            image = np.full((8, 8, 4), (100, 100, 100, 128), np.uint8)
            yield index, {"image": image, "label": index % 2}


@pytest.mark.parametrize(("background", "grey"), [("white", 177), ("black", 50)])
def test_the_background_of_transparent_images_is_used(
    background: str, grey: int, tmp_path: Path
) -> None:
    for wanted in ("white", "black", background):  # each has its own decoded images
        glass = data.load("glass", channels=3, background=wanted, data_dir=str(tmp_path))
    assert glass.preprocessing.background == background
    assert np.unique(glass.train.images).tolist() == [grey]


class Transposed(Small, tfds.core.GeneratorBasedBuilder):
    """Images of the shape of EMNIST, with white first rows when upright: stored transposed."""

    SHAPE = (28, 28, 1)
    BUILDER_CONFIGS = (tfds.core.BuilderConfig(name="letters", version="1.0.0"),)

    def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for index in range(40):
            image = np.zeros(self.SHAPE, np.uint8)
            image[:, : 8 + index % 3] = 255
            yield index, {"image": image, "label": index % 2}


@pytest.mark.parametrize("size", [None, (14, 14)])
def test_emnist_is_upright_and_has_letters(
    size: tuple[int, int] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Transposed, "name", "emnist")
    monkeypatch.setattr(
        tfds, "builder", lambda name, data_dir: Transposed(config="letters", data_dir=data_dir)
    )
    letters = data.load("emnist/letters", image_size=size, data_dir=str(tmp_path))
    assert letters.class_names == ("0", "A")
    assert letters.train.images[:, 0].min() == 255  # the first row
    assert letters.train.images[:, -1].max() == 0


def test_classes_of_emnist_are_characters() -> None:
    def names(config: str) -> tuple[str, ...]:
        return tfds_sets.class_names(tfds.builder(f"emnist/{config}"))

    letters = names("letters")
    assert (letters[1], letters[26], len(letters)) == ("A", "Z", 37)
    assert names("byclass") == tuple(
        string.digits + string.ascii_uppercase + string.ascii_lowercase
    )
    for config in ("balanced", "bymerge"):
        assert "".join(names(config)) == f"{string.digits}{string.ascii_uppercase}abdefghnqrt"
    assert names("digits") == tuple(string.digits)


def test_another_set_without_a_way_to_it_names_three(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"fashion_mnist is not prepared .*\(1\) an internet"):
        data.load("fashion_mnist", data_dir=str(tmp_path), offline=True)


def test_a_set_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="imdb_reviews is not an image classification dataset"):
        data.load("imdb_reviews", data_dir=str(tmp_path))


def test_a_data_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot prepare digits"):
        data.load("digits", data_dir=str(tmp_path / "file" / "tfds"))


@needs_mnist
def test_mnist_comes_from_the_manual_folder(mnist: data.Dataset, shared: Path) -> None:
    assert (len(mnist.train), len(mnist.validation), len(mnist.test)) == (55_000, 5_000, 10_000)
    assert mnist.image_shape == (28, 28, 1)
    assert mnist.train.images.mean() == pytest.approx(33.3, abs=0.2)
    assert np.bincount(mnist.test.labels)[1] == 1135
    # Once the dataset is prepared, the manual folder is not needed.
    again = data.load("mnist", data_dir=str(shared / "mnist"), offline=True)
    np.testing.assert_array_equal(again.train.labels, mnist.train.labels)


def test_the_digits_need_no_internet(tmp_path: Path) -> None:
    assert len(data.load("digits", data_dir=str(tmp_path), offline=True).test) == 353


def test_stratified_takes_the_first_of_each_class() -> None:
    split = Split("train", np.zeros((6, 1, 1, 1), np.uint8), np.array([1, 0, 1, 1, 0, 0]))
    assert stratified(split, 4).tolist() == [0, 1, 2, 4]


def test_a_set_is_decoded_once_and_memory_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = data.load("digits", data_dir=str(tmp_path))
    (kept,) = tmp_path.glob("digits/1.0.0/decoded/28x28/train.images.npy")
    with monkeypatch.context() as patch:
        patch.setattr(tfds_sets, "_decode", _not_again)
        again = data.load("digits", data_dir=str(tmp_path))
    assert isinstance(again.train.images, np.memmap)
    np.testing.assert_array_equal(again.train.images, first.train.images)
    np.testing.assert_array_equal(again.train.labels, first.train.labels)
    # Each size has a separate array, and each version of the code that resizes.
    assert data.load("digits", data_dir=str(tmp_path), image_size=(9, 8)).image_shape == (9, 8, 1)
    with monkeypatch.context() as patch:
        patch.setattr(tfds_sets, "_decode", _not_again)
        patch.setattr(preprocessing, "VERSION", "another")
        data.load("digits", data_dir=str(tmp_path))
        with pytest.raises(AssertionError, match="decoded again"):
            data.load("digits", data_dir=str(tmp_path), image_size=(9, 8))
    # A missing array is decoded again.
    kept.unlink()
    anew = data.load("digits", data_dir=str(tmp_path))
    np.testing.assert_array_equal(anew.train.images, first.train.images)


def test_a_set_has_the_polarity_that_is_asked_for(data_dir: Path) -> None:
    own = data.load("digits", data_dir=str(data_dir))
    assert own.preprocessing.polarity == "light-on-dark"
    for polarity in ("keep", "light-on-dark"):
        same = data.load("digits", data_dir=str(data_dir), polarity=polarity)
        np.testing.assert_array_equal(same.train.images, own.train.images)
    for _ in range(2):  # computed, then cached
        dark = data.load("digits", data_dir=str(data_dir), polarity="dark-on-light")
        for split in ("train", "validation", "test"):
            mine, theirs = getattr(dark, split), getattr(own, split)
            np.testing.assert_array_equal(mine.images, 255 - theirs.images)
            np.testing.assert_array_equal(mine.labels, theirs.labels)
    picture = PIL.Image.fromarray(own.test.images[0, ..., 0])
    prepared = preprocessing.prepare(picture, dark.preprocessing).image
    np.testing.assert_array_equal(prepared, dark.test.images[0])


@pytest.mark.parametrize("size", [None, (9, 8)])
def test_a_grey_set_is_read_in_colour(size: tuple[int, int] | None, data_dir: Path) -> None:
    grey = data.load("digits", data_dir=str(data_dir), image_size=size)
    coloured = data.load("digits", data_dir=str(data_dir), image_size=size, channels=3)
    assert coloured.image_shape == (*grey.image_shape[:2], 3)
    for channel in range(3):
        np.testing.assert_array_equal(coloured.test.images[..., channel], grey.test.images[..., 0])
    # Both are stored: the grey array is not read as colour, nor the reverse.
    assert data.load("digits", data_dir=str(data_dir), image_size=size).image_shape[2] == 1


def _not_again(*arguments: object) -> None:
    raise AssertionError("decoded again")


def _flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-100] ^= 8
    file.write_bytes(content)


def _swap_two_labels(file: Path) -> None:
    labels = np.load(file)
    labels[[0, 1]] = labels[[1, 0]]
    np.save(file, labels)


DAMAGES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a flipped bit in the images": ("images.npy", _flip),
    "a flipped bit in the labels": ("labels.npy", _flip),
    "two labels swapped": ("labels.npy", _swap_two_labels),
    "images cut short": ("images.npy", lambda file: os.truncate(file, 5_000)),
    "labels cut short": ("labels.npy", lambda file: os.truncate(file, 300)),
    "empty images": ("images.npy", lambda file: file.write_bytes(b"")),
    "no images": ("images.npy", Path.unlink),
    "no fingerprint": ("sha256", Path.unlink),
    "another set's fingerprint": ("sha256", lambda file: file.write_text("0" * 64)),
    "an object array": (
        "labels.npy",
        lambda file: np.save(file, np.array([{}], object), allow_pickle=True),
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_arrays_are_decoded_again(damage: str, digits: Dataset, tmp_path: Path) -> None:
    data.load("digits", data_dir=str(tmp_path))
    name, do = DAMAGES[damage]
    do(tmp_path / "digits" / "1.0.0" / "decoded" / "28x28" / f"train.{name}")
    lines: list[str] = []
    # A missing file is decoded without a message, like the first time. Other damage is reported
    # once, then repaired.
    is_missing = damage in ("no images", "no fingerprint")
    for announced in (0 if is_missing else 1, 0):
        lines.clear()
        again = data.load("digits", data_dir=str(tmp_path), announce=lines.append)
        np.testing.assert_array_equal(again.train.images, digits.train.images)
        np.testing.assert_array_equal(again.train.labels, digits.train.labels)
        assert len(lines) == announced, lines


PREPARE = """
import sys
import time
from zoo import cli, data
from zoo.util import backend
backend.start_tensorflow()
found = data.load("digits", data_dir=sys.argv[1])
print(len(found.train), len(found.validation), len(found.test), found.test.fingerprint)
"""


def test_processes_that_waited_for_a_set_all_get_it(digits: Dataset, tmp_path: Path) -> None:
    line = [sys.executable, "-c", PREPARE, str(tmp_path)]
    pipes: dict[str, Any] = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
    with FileLock(tmp_path / ".digits.lock"):
        each = [subprocess.Popen(line, text=True, **pipes) for _ in range(3)]
        for process in each:
            assert process.stderr is not None
            assert "Waiting for another process that prepares digits" in process.stderr.readline()
    answers = [process.communicate(timeout=300) for process in each]
    assert [process.returncode for process in each] == [0, 0, 0], answers
    counts = [len(digits.train), len(digits.validation), len(digits.test)]
    expected = " ".join(map(str, [*counts, digits.test.fingerprint]))
    assert [out.strip() for out, _ in answers] == [expected] * 3


def test_a_folder_whose_name_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\\xff: the name of the folder is not UTF-8"):
        data.load("digits", data_dir=str(tmp_path / "\udcff"))


def test_what_a_killed_preparation_left_is_removed(tmp_path: Path) -> None:
    left, living = (tmp_path / "digits" / f"incomplete.{name}_1.0.0" for name in ("A", "B"))
    for folder in (left, living):
        folder.mkdir(parents=True)
        (folder / "digits-train.tfrecord-00000-of-00001").write_bytes(b"half")
    two_hours_ago = time.time() - 7200
    for path in (*left.iterdir(), left, living):  # another program still writes to the second
        os.utime(path, (two_hours_ago, two_hours_ago))
    data.load("digits", data_dir=str(tmp_path))
    assert not left.exists()
    assert living.exists()


FULL = """
import resource, sys
from zoo import cli, data
from zoo.util import backend
backend.start_tensorflow()
data.load("digits", data_dir=sys.argv[1])
import shutil
shutil.rmtree(sys.argv[1] + "/digits/1.0.0/decoded")
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
cli.run("test", lambda arguments: data.load("digits", data_dir=arguments[0]))
"""


def test_a_full_disk_ends_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("test: error: cannot cache the decoded images in")
    assert "--data-dir" in last
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("*images.npy"))


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


class Halves(Stripes):
    """A dataset with the splits listed in ``SPLITS``."""

    name = "halves"
    SPLITS: tuple[str, ...] = ()

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        return {split: self._generate_examples() for split in self.SPLITS}


@pytest.mark.parametrize(
    ("given", "counts", "taken"),
    [
        (("train", "validation"), [32, 40, 8], ("test",)),
        (("train", "test"), [36, 4, 40], ("validation",)),
        (("train", "validation", "test", "extra"), [40, 40, 40], ()),
    ],
)
def test_no_split_that_exists_is_dropped(
    given: tuple[str, ...],
    counts: list[int],
    taken: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Halves, "SPLITS", given)
    lines: list[str] = []
    found = data.load("halves", image_size=(6, 7), data_dir=str(tmp_path), announce=lines.append)
    assert [len(split) for split in (found.train, found.validation, found.test)] == counts
    assert found.taken == taken
    assert any("taken from train" in line for line in lines) == bool(taken)
    assert any("the splits extra" in line for line in lines) == ("extra" in given)


def test_a_set_without_training_images_can_only_be_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Halves, "SPLITS", ("test",))
    options: dict[str, Any] = {"image_size": (6, 7), "data_dir": str(tmp_path)}
    with pytest.raises(InputError, match=r"halves has no train split, only test: .*--data halves"):
        data.load("halves", **options)
    assert len(data.load("halves", **options, trainable=False).test) == 40


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("MNIST", r"unknown dataset 'MNIST'; did you mean 'mnist'\?"),
        ("emnist/leters", r"unknown configuration of emnist 'leters'; did you mean 'letters'\?"),
        ("mnist:9.0.0", r"unknown version of mnist '9\.0\.0'; allowed: 3\.0\.1|did you mean"),
        ("pets.zip", r"pets\.zip is an archive; unpack it"),
        ("", "--data takes auto, digits"),
        (" ", "--data takes auto, digits"),
        ("./a/b", r"\./a/b does not exist; give a dataset"),
        ("digits/photos", r"digits/photos is not a dataset; a folder of this name is \./digits/ph"),
        ("digits:1.0.0", r"digits:1\.0\.0 is not a dataset"),
        ("auto/photos", r"auto/photos is not a dataset"),
    ],
)
def test_names_of_no_set_are_refused_with_the_reason(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        data.load(name, image_size=(28, 28), offline=True)


def test_configurations_and_versions_are_names(tmp_path: Path) -> None:
    for name in ("emnist/letters", "mnist:3.0.1"):
        with pytest.raises(InputError, match=f"{name} is not prepared .*--offline was given"):
            data.load(name, data_dir=str(tmp_path), offline=True)


def test_a_set_to_be_downloaded_by_hand_shows_how(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"given with --manual-dir; .* tensorflow-datasets: .*ILSVRC2012_img"
    ) as caught:
        data.load("imagenet2012", image_size=(28, 28), data_dir=str(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(InputError, match="is a file, not a folder"):
        data.load(str(tmp_path / "a.png"), image_size=(28, 28))
