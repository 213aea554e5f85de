"""Test how the model card describes the conversion of a picture to an image."""

from __future__ import annotations

import itertools
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from export.bundle import card
from export.convert import microcontroller
from zoo.data import preprocessing
from zoo.data.preprocessing import Preprocessing


def _wanted(channels: int, **choices: Any) -> Preprocessing:
    return Preprocessing(height=28, width=20, channels=channels, **choices)


def _section(wanted: Preprocessing) -> str:
    """Return the section of the card of a made-up bundle."""
    data = {
        "name": "pets", "version": "1", "licence": "", "homepage": "",
        "image_shape": wanted.shape, "preprocessing": wanted.record(),
        "train_count": 8, "validation_count": 1, "test_count": 1,
    }  # fmt: skip
    manifest = {
        "model": "small", "labels": ["cat", "dog"], "data": data, "origin": {}, "batch": 1,
        "loosened": [], "reference": {"interval": (0.5, 1)}, "cautions": [], "artifacts": [],
        "left_out": {}, "finetuned": None, "microcontroller": None, "calibration": None,
        "golden": {"labels": [0]}, "machine": {"processor": ""},
    }  # fmt: skip
    text = card.model_card(manifest, "trained on", "", "")
    _, found = text.split("\n## How a picture becomes an image\n")
    return found.partition("\n## ")[0]


def _code(section: str) -> str:
    """Return the code of a section, which is indented by four spaces."""
    _, start, code = section.partition("    import numpy as np\n")
    return textwrap.dedent(start + code)


def _save(file: Path, mode: str, size: tuple[int, int], **options: Any) -> None:
    """Save a picture with noise that is darker on the left and at the top."""
    width, height = size
    slope = np.add.outer(np.linspace(0, 90, height), np.linspace(0, 90, width))[..., None]
    noise = np.random.default_rng(0).uniform(0, 75, (height, width, 4))
    picture = PIL.Image.fromarray((slope + noise).astype(np.uint8))
    picture.convert(mode).save(file, "PNG", **options)


CHOICES = [
    _wanted(channels, fit=fit, polarity=polarity, background=background)
    for channels, fit, polarity, background in itertools.product(
        (1, 3), preprocessing.FITS, preprocessing.POLARITIES, preprocessing.BACKGROUNDS
    )
    if channels == 1 or polarity == "keep"
]


@pytest.mark.parametrize(
    "wanted", CHOICES, ids=lambda each: "-".join(map(str, each.record().values()))
)
def test_the_code_gives_the_same_pixels(
    wanted: Preprocessing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = compile(_code(_section(wanted)), "README.md", "exec")
    turned = PIL.Image.Exif()
    turned[0x112] = 6
    sizes = ((91, 37), (37, 91), (20, 28), (1, 300))
    for mode, size in itertools.product(("RGB", "LA", "RGBA"), sizes):
        _save(Path("picture.jpg"), mode, size, exif=turned)
        names: dict[str, Any] = {}
        exec(code, names)
        picture = preprocessing.read_picture(Path("picture.jpg"))
        expected = preprocessing.prepare(picture, wanted).image
        assert names["image"].dtype == np.uint8
        np.testing.assert_array_equal(names["image"], expected, f"{mode}, {size}")


def test_a_search_for_ink_has_no_code() -> None:
    wanted = _wanted(1, polarity="dark-on-light", ink=True)
    section = _section(wanted)
    assert "find the ink" in section
    assert "Make it dark on light" in section
    assert "`serve_bytes` of the SavedModel does not search for ink" in section
    assert "Resize" not in section
    assert not _code(section)


def test_only_the_steps_that_apply_are_there() -> None:
    color, grey = _section(_wanted(3, background="black")), _section(_wanted(1, fit="crop"))
    for word in ("red, green, blue", "with black", "margins"):
        assert word in color
        assert word not in grey
    for word in ("to grey", "with white", "Crop", "Do not invert"):
        assert word in grey
        assert word not in color
    assert " ink" not in color + grey


def test_images_of_other_channels_are_not_made_from_pictures() -> None:
    expected = "Picture files cannot be converted to images of 2 channels."
    assert _section(_wanted(2)).strip() == expected


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (_wanted(1), "one grey byte, not inverted"),
        (_wanted(1, polarity="dark-on-light"), "one grey byte, dark on light"),
        (
            _wanted(1, polarity="light-on-dark", ink=True),
            "one grey byte, light on dark, with the ink scaled and centered as in MNIST",
        ),
        (_wanted(3), "red, green, blue"),
        (_wanted(2), "one byte of each channel"),
    ],
)
def test_a_board_states_the_bytes_of_a_pixel(wanted: Preprocessing, text: str) -> None:
    assert microcontroller.pixel_bytes(wanted) == text
