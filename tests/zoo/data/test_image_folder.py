from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
import tensorflow as tf

from export import __main__ as export_command
from tests.conftest import Command
from zoo import data, evaluate
from zoo.data import Dataset, preprocessing
from zoo.errors import InputError


def _write(folder: Path, images: np.ndarray, ending: str = ".png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    encode = tf.io.encode_png if ending == ".png" else tf.io.encode_jpeg
    for number, image in enumerate(images):
        (folder / f"{number:03d}{ending}").write_bytes(encode(image).numpy())


@pytest.fixture
def folder(tmp_path: Path, digits: Dataset) -> Path:
    """Return a folder of twenty pictures each of zeros and ones, as users have them."""
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


def test_the_users_own_splits_are_kept(folder: Path) -> None:
    own = folder.parent / "own"
    shutil.copytree(folder, own / "train")
    shutil.copytree(folder, own / "test")
    for path in (own / "test").glob("*/0[1-9]*.png"):
        path.unlink()
    mine = _load(own)
    # Without a validation folder, 10 % of the training pictures are held out.
    assert [len(split) for split in (mine.train, mine.validation, mine.test)] == [36, 4, 20]


def test_a_folder_is_decoded_once_and_again_when_its_content_changed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _load(folder)
    monkeypatch.setattr(preprocessing, "decode", _not_again)
    again = _load(folder)
    np.testing.assert_array_equal(again.train.images, first.train.images)
    # A new timestamp alone is ignored; new content is detected with any timestamp.
    changed = folder / "one" / "000.png"
    times = changed.stat().st_atime_ns, changed.stat().st_mtime_ns
    os.utime(changed, (1, 1))
    assert _load(folder).facts() == first.facts()
    monkeypatch.undo()
    _write(folder / "one", np.full((1, 28, 28, 1), 99, np.uint8))
    os.utime(changed, ns=times)
    told = data.differences(first.facts(), _load(folder).facts())
    assert len(told) == 1
    assert told[0].startswith("images or labels of ")


@pytest.mark.parametrize(("module", "name"), [(preprocessing, "VERSION"), (PIL, "__version__")])
def test_a_folder_is_decoded_again_when_the_code_makes_other_pixels(
    module: Any, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _load(folder)
    monkeypatch.setattr(preprocessing, "decode", _not_again)
    monkeypatch.setattr(module, name, "another")
    with pytest.raises(AssertionError, match="decoded again"):
        _load(folder)


def _not_again(content: bytes) -> None:
    raise AssertionError("decoded again")


def test_what_is_wrong_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\./nothing does not exist"):
        data.load("./nothing", image_size=(28, 28))
    with pytest.raises(InputError, match="need a size"):
        data.load(str(folder))
    broken = folder / "one" / "004.png"
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(InputError, match=r"1 of the pictures .*one/004\.png is damaged"):
        _load(folder)
    shutil.rmtree(folder / "one")
    with pytest.raises(InputError, match="at least two classes, found 1"):
        _load(folder)
    (folder / "one").mkdir()
    with pytest.raises(InputError, match=r"mine/one contains 0 pictures .* at least 10"):
        _load(folder)
    own = tmp_path / "own"
    (own / "test" / "two").mkdir(parents=True)
    with pytest.raises(InputError, match="has test but no train folder"):
        _load(own)
    for name in ("zero", "one"):
        _write(own / "train" / name, np.zeros((1, 8, 8, 1), np.uint8))
    with pytest.raises(InputError, match=r"test/two is a class that is missing in .*own/train;"):
        _load(own)


def _own(root: Path, names: dict[str, int]) -> Path:
    """Write split folders with the given number of different pictures of each class."""
    rng = np.random.default_rng(0)
    for name, count in names.items():
        for label in ("one", "zero"):
            images = rng.integers(0, 256, (count, 8, 8, 1)).astype(np.uint8)
            _write(root / name / label, images)
    return root


@pytest.mark.parametrize(
    ("names", "counts", "taken"),
    [
        ({"train": 20}, [28, 4, 8], ["validation", "test"]),
        ({"Train": 20, "TEST": 3}, [36, 4, 6], ["validation"]),
        ({"training": 20, "testing": 3}, [36, 4, 6], ["validation"]),
        ({"train": 20, "val": 5}, [32, 10, 8], ["test"]),
        ({"train": 20, "Valid": 5}, [32, 10, 8], ["test"]),
        ({"train": 20, "validation": 5, "test": 2}, [40, 10, 4], []),
        ({"train": 2, "valid": 1, "test": 1}, [4, 2, 2], []),
    ],
)
def test_splits_by_the_names_people_use(
    names: dict[str, int], counts: list[int], taken: list[str], tmp_path: Path
) -> None:
    lines: list[str] = []
    mine = _load(_own(tmp_path / "own", names), announce=lines.append)
    assert [len(split) for split in (mine.train, mine.validation, mine.test)] == counts
    assert mine.facts()["taken_from_train"] == taken
    for split in (mine.train, mine.validation, mine.test):
        assert np.bincount(split.labels).tolist() == [len(split) // 2] * 2
    assert any("taken from train" in line for line in lines) == bool(taken)


def test_a_split_the_user_made_is_used_as_it_is(tmp_path: Path) -> None:
    own = _own(tmp_path / "own", {"train": 20, "val": 5})
    expected = {
        tf.io.decode_image(path.read_bytes()).numpy().tobytes() for path in own.glob("val/*/*")
    }
    mine = _load(own, (8, 8))
    assert {image.tobytes() for image in mine.validation.images} == expected


def test_a_folder_to_be_scored_needs_no_training_pictures(tmp_path: Path) -> None:
    whole = _own(tmp_path / "whole", {".": 3})
    found = _load(whole, trainable=False)
    assert [len(split) for split in (found.train, found.validation, found.test)] == [0, 0, 6]
    assert found.facts()["taken_from_train"] == []
    own = _own(tmp_path / "own", {"test": 3, "val": 2})
    found = _load(own, trainable=False)
    assert [len(split) for split in (found.train, found.validation, found.test)] == [0, 4, 6]


def test_two_folders_of_one_split_are_refused(tmp_path: Path) -> None:
    own = _own(tmp_path / "own", {"train": 20, "val": 5, "valid": 5})
    with pytest.raises(InputError, match="two folders of validation pictures, val and valid"):
        _load(own)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for name in ("train", "plane"):
        _write(tmp_path / "own" / name, np.zeros((12, 8, 8, 1), np.uint8))
    assert _load(tmp_path / "own").class_names == ("plane", "train")


def test_the_table_says_what_was_found_and_what_was_not_read(tmp_path: Path) -> None:
    own = _own(tmp_path / "own", {"train": 10, "val": 10, "test": 10})
    one = own / "train" / "one"
    for path in sorted(one.iterdir())[5:]:
        path.unlink()
    (one / "more").mkdir()
    (one / "._000.png").write_bytes(b"\0\5\x16\7")
    (one / "notes.txt").touch()
    (own / "__MACOSX").mkdir()
    copied = shutil.copy(own / "train" / "zero" / "003.png", own / "test" / "zero" / "copy.png")
    lines: list[str] = []
    _load(own, announce=lines.append)
    text = "\n".join(lines)
    assert re.search(r"^one +5 +10 +10$", text, re.MULTILINE)
    assert re.search(r"^zero +10 +10 +11$", text, re.MULTILINE)
    assert (
        "Largest class of train: zero; a classifier that always predicts it would reach 52.4 %"
        in text
    )
    assert "Not read: 1 .txt files, 1 hidden files, 1 hidden folders, 1 nested folders." in text
    assert (
        "WARNING: 1 of the 21 test pictures are also in train, such as "
        f"{Path(copied).relative_to(own)} = train/zero/003.png" in text
    )


def test_all_unreadable_pictures_are_named_at_once(folder: Path) -> None:
    for number in range(12):
        (folder / "one" / f"bad{number:02d}.png").write_bytes(b"nothing")
    with pytest.raises(InputError) as caught:
        _load(folder)
    message = str(caught.value)
    assert message.startswith("12 of the pictures cannot be used: ")
    assert message.count(".png is not a picture") == 10
    assert message.endswith("; and 2 more")


def test_names_that_are_not_utf8(folder: Path) -> None:
    expected = _load(folder).facts()
    picture = folder / "one" / "000.png"
    picture.rename(os.fsdecode(os.fsencode(folder / "one") + b"/caf\xe9.png"))
    # The order may differ, but not the set of pictures.
    found = _load(folder)
    assert len(found.train) == expected["train_count"]
    (folder / "one").rename(os.fsdecode(os.fsencode(folder) + b"/caf\xe9"))
    with pytest.raises(InputError, match=r"caf\\xe9 has a name that is not UTF-8; rename it"):
        _load(folder)


def test_names_with_spaces_and_line_breaks(folder: Path) -> None:
    (folder / "one").rename(folder / "one ")
    assert _load(folder).class_names == ("one ", "zero")
    (folder / "one ").rename(folder / "one\n")
    with pytest.raises(InputError, match="has a line break in its name; rename it") as caught:
        _load(folder)
    assert "\n" not in str(caught.value)


def test_the_images_obey_the_choices(tmp_path: Path) -> None:
    for name in ("a", "b"):
        picture = np.zeros((12, 10, 30, 4), np.uint8)
        picture[:, 2:8, 12:18] = 255
        _write(
            tmp_path / "own" / name, picture + np.arange(12, dtype=np.uint8)[:, None, None, None]
        )
    for fit in ("pad", "crop", "stretch"):
        for background, value in (("white", 255), ("black", 0)):
            mine = _load(tmp_path / "own", (10, 10), fit=fit, background=background)
            assert mine.preprocessing.fit == fit
            corner = mine.train.images[0, 0, 0]
            assert np.abs(corner.astype(int) - value).max() < 16, (fit, background)
    assert _load(tmp_path / "own", channels=1).image_shape == (28, 28, 1)


def test_what_changed_is_named(
    command: Command, folder: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(data_dir))
    place = folder.parent
    line = ("zoo.train", "compact-4k", "--data", "./mine", "--steps", 3)
    assert command(*line, cwd=place).returncode == 0
    moved = place / "elsewhere"
    shutil.copytree(folder, moved)
    # Most pictures of a copy were trained on, so they do not belong to its test split.
    scored = command("zoo.evaluate", "runs/compact-4k", "--data", "./elsewhere", cwd=place)
    assert f"of {_load(folder).test.images.shape[0]} on elsewhere" in scored.stdout
    assert "runs/compact-4k was trained on the pictures of ./elsewhere" in scored.stderr
    (folder / "one" / "000.png").unlink()
    monkeypatch.chdir(place)
    for score_or_export in (evaluate.main, export_command.main):
        message = (
            r"^the dataset differs from the record in .*: .* has .* images instead of the recorded"
        )
        with pytest.raises(InputError, match=message):
            score_or_export(["runs/compact-4k"])
    shutil.rmtree(folder)
    with pytest.raises(InputError, match="mine does not exist"):
        evaluate.main(["runs/compact-4k"])
    # The same pictures in another folder, with the labels of two swapped.
    one, zero = (moved / name / "005.png" for name in ("one", "zero"))
    pixels = one.read_bytes()
    one.write_bytes(zero.read_bytes())
    zero.write_bytes(pixels)
    with pytest.raises(InputError, match="images or labels of "):
        export_command.main(["runs/compact-4k", "--data", "./elsewhere"])
