from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import PIL.Image
import PIL.ImageDraw
import pytest

from tests.conftest import ROOT
from tools.paper_pictures import VARIANTS
from zoo.data import Dataset, ink
from zoo.data.ink import Ink

Lines = list[tuple[int, int, int, int]]

# Strokes on a page of 400x400, each from (x, y) to (x, y).
FOUR: Lines = [(150, 100, 110, 220), (110, 220, 220, 220), (180, 150, 180, 300)]


def find(grey: np.ndarray, size: tuple[int, int] = (28, 28)) -> list[Ink]:
    return ink.find(grey, size).things


def page(strokes: Lines, width: int = 18, ink: int = 50, paper: int = 230) -> np.ndarray:
    """Draw strokes with round ends."""
    picture = PIL.Image.new("L", (400, 400), paper)
    pen = PIL.ImageDraw.Draw(picture)
    for x1, y1, x2, y2 in strokes:
        pen.line((x1, y1, x2, y2), ink, width)
        for x, y in ((x1, y1), (x2, y2)):
            pen.circle((x, y), width / 2, ink)
    return np.array(picture)


def moved(strokes: Lines, x: int) -> Lines:
    return [(x1 + x, y1, x2 + x, y2) for x1, y1, x2, y2 in strokes]


def enlarged(digit: np.ndarray, side: int = 200) -> np.ndarray:
    """Return a digit as dark ink on a page of 400x400."""
    ink = PIL.Image.fromarray(digit).resize((side, side), PIL.Image.Resampling.BICUBIC)
    picture = PIL.Image.new("L", (400, 400), 0)
    picture.paste(ink, (100, 100))
    return (230 - 0.8 * np.asarray(picture)).astype(np.uint8)


def with_noise(picture: np.ndarray, deviation: float, quality: int | None = None) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, deviation, picture.shape)
    noisy = np.clip(picture + noise, 0, 255).astype(np.uint8)
    if quality is None:
        return noisy
    file = io.BytesIO()
    PIL.Image.fromarray(noisy).save(file, "JPEG", quality=quality)
    return np.asarray(PIL.Image.open(file))


def only(things: list[Ink]) -> np.ndarray:
    (thing,) = things
    return thing.image


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


@pytest.fixture
def plain() -> np.ndarray:
    return only(find(page(FOUR)))


def extent(image: np.ndarray) -> tuple[int, int]:
    """Return the height and width of the area with at least half ink."""
    rows, columns = np.nonzero(image > 127)
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1


@pytest.mark.parametrize("number", range(5))
def test_a_page_with_a_digit_becomes_the_digit(digits: Dataset, number: int) -> None:
    digit = digits.test.images[number, :, :, 0]
    image = only(find(enlarged(digit)))
    assert image.dtype == np.uint8
    assert image.shape == (28, 28)
    rows, columns = np.indices(digit.shape)
    shift = [round(13.5 - np.average(axis, weights=digit)) for axis in (rows, columns)]
    assert likeness(image, np.roll(digit, shift, (0, 1))) > 0.8


@pytest.mark.parametrize("width", [8, 18, 60])
def test_dark_and_light_ink_are_told_apart(width: int) -> None:
    dark = page(FOUR, width)
    image = only(find(dark))
    light = only(find(255 - dark))
    assert np.median(image) == np.median(light) == 0
    assert likeness(image, light) > 0.95


def test_strokes_are_white_on_black(plain: np.ndarray) -> None:
    # Pale ink on grey paper becomes as strong as black ink on white paper.
    for image in (plain, only(find(page(FOUR, ink=120, paper=190)))):
        assert image.max() == 255
        assert np.mean(image > 250) > 0.04
        assert np.mean(image == 0) > 0.5


@pytest.mark.parametrize(
    ("size", "box"), [((28, 28), 20), ((56, 56), 40), ((32, 64), 23), ((64, 32), 23)]
)
def test_the_longer_side_fills_the_box(size: tuple[int, int], box: int) -> None:
    tall = only(find(page([(200, 100, 200, 290)], 19), size))
    wide = only(find(page([(60, 200, 350, 200)], 29), size))
    assert tall.shape == wide.shape == size
    assert extent(tall) == pytest.approx((box, box / 11), abs=1)
    assert extent(wide) == pytest.approx((box / 11, box), abs=1)


def test_the_mass_is_in_the_middle() -> None:
    image = only(find(page([(100, 80, 100, 320), (100, 320, 180, 320)], 24))).astype(float)
    y, x = np.mgrid[0:28, 0:28] + 0.5
    assert np.average(y, weights=image) == pytest.approx(14, abs=0.1)
    assert np.average(x, weights=image) == pytest.approx(14, abs=0.1)


@pytest.mark.parametrize("enlargement", [1, 5])
def test_the_box_is_in_pixels_of_the_picture(enlargement: int, plain: np.ndarray) -> None:
    picture = np.kron(page(FOUR), np.ones((enlargement, enlargement), np.uint8))
    (thing,) = find(picture)
    expected = np.array([101, 91, 230, 310]) * enlargement
    np.testing.assert_allclose(thing.box, expected, atol=3 * enlargement)
    assert likeness(thing.image, plain) > 0.97


@pytest.mark.parametrize("share", [0.15, 0.5, 0.85, 1.0])
def test_light_and_shadow_do_not_matter(share: float, plain: np.ndarray) -> None:
    y, x = np.mgrid[0:400, 0:400]
    light = 1 - 0.25 * x / 400
    light[y + 0.3 * x < share * 520] *= 0.45
    image = only(find(with_noise(page(FOUR) * light, 4, 90)))
    assert likeness(image, plain) > 0.95


def test_a_blob_as_thick_as_a_felt_pen_stays_filled() -> None:
    image = only(find(page([(200, 100, 200, 300)], 90)))
    assert image[6:22, 12:16].min() > 200


def test_a_thin_stroke_becomes_as_thick_as_those_of_mnist(plain: np.ndarray) -> None:
    def mean_width(image: np.ndarray) -> float:
        return image.sum() / 255 / (image > 60).any(1).sum()

    thin = only(find(page([(200, 60, 200, 340)], 4)))
    assert mean_width(thin) == pytest.approx(1.9, abs=0.4)
    thick = only(find(page([(200, 60, 200, 340)], 60)))
    assert mean_width(thick) > 3.2


def test_a_broken_stroke_is_part_of_its_character() -> None:
    body = [(150, 120, 145, 190), (145, 190, 210, 220), (210, 220, 200, 290), (200, 290, 130, 300)]
    bar = [(186, 112, 250, 100)]
    image = only(find(page(body + bar)))
    assert likeness(image, only(find(page([*body, (150, 120, 250, 100)])))) > 0.85
    dot = [(200, 105, 202, 107)]
    assert likeness(only(find(page([(200, 150, 200, 300), *dot]))), image) < 0.9
    assert extent(only(find(page([(200, 150, 200, 300), *dot]))))[0] == pytest.approx(20, abs=1)


def test_a_narrow_gap_does_not_cut_a_character(plain: np.ndarray) -> None:
    picture = page(FOUR)
    picture[:, 165:168] = 230
    assert likeness(only(find(picture)), plain) > 0.9


def test_characters_side_by_side_are_separate(plain: np.ndarray) -> None:
    one = [(60, 100, 60, 300)]
    things = find(page([*moved(FOUR, 120), *one, *moved(FOUR, -20)]))
    assert [thing.box[0] for thing in things] == sorted(thing.box[0] for thing in things)
    assert len(things) == 3
    assert extent(things[0].image)[1] <= 4
    assert likeness(things[1].image, plain) > 0.97
    assert likeness(things[2].image, plain) > 0.97


@pytest.mark.parametrize("radius", [2, 12])
def test_specks_are_ignored(radius: int, plain: np.ndarray) -> None:
    picture = PIL.Image.fromarray(page(FOUR))
    for at in ((330, 330), (30, 370), (320, 40)):
        PIL.ImageDraw.Draw(picture).circle(at, radius, 50)
    np.testing.assert_array_equal(only(find(np.asarray(picture))), plain)
    found = ink.find(np.asarray(picture))
    assert (found.cut_off, found.small) == (0, 3 if radius == 12 else 0)


@pytest.mark.parametrize(("stroke", "counts"), [(60, (0, 1)), (120, (1, 0))])
def test_what_the_edge_of_the_picture_cuts_off_is_left_out(
    plain: np.ndarray, stroke: int, counts: tuple[int, int]
) -> None:
    found = ink.find(page([*FOUR, (320, 420 - stroke, 320, 420)]))
    np.testing.assert_array_equal(only(found.things), plain)
    assert (found.cut_off, found.small) == counts


def test_an_object_alone_may_be_cut_off(plain: np.ndarray) -> None:
    found = ink.find(page(FOUR)[95:306, 105:226])
    assert likeness(only(found.things), plain) > 0.9
    assert (found.cut_off, found.small) == (0, 0)


@pytest.mark.parametrize("band", [1, 3, 12, 30])
def test_a_dark_edge_of_a_scan_is_background(band: int, plain: np.ndarray) -> None:
    picture = page(FOUR)
    picture[:, :band] = picture[-band:] = 20
    assert likeness(only(find(picture)), plain) > 0.99
    picture = page([])
    picture[:, :band] = picture[-band:] = 20
    assert find(picture) == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_digit_is_found_on_every_kind_of_paper(digits: Dataset, variant: str) -> None:
    likenesses = []
    for number in range(3):
        digit = digits.test.images[number, :, :, 0]
        picture = VARIANTS[variant](digit, np.random.default_rng(number))
        image = only(find(np.asarray(picture.convert("L"))))
        likenesses.append(likeness(image, only(find(enlarged(digit)))))
    assert np.median(likenesses) > 0.8, likenesses


# The marks of a badly wiped board can be as strong as ink, and a smudge needs a digit.
@pytest.mark.parametrize(
    "variant", [name for name in VARIANTS if name not in ("chalk-board", "smudge")]
)
def test_a_page_without_a_digit_has_no_ink(variant: str) -> None:
    nothing = np.zeros((28, 28), np.uint8)
    for number in range(3):
        picture = VARIANTS[variant](nothing, np.random.default_rng(number))
        assert find(np.asarray(picture.convert("L"))) == []


@pytest.mark.parametrize("paper", [10, 60, 128, 230, 255])
@pytest.mark.parametrize("quality", [None, 30])
def test_blank_paper_has_no_ink(paper: int, quality: int | None) -> None:
    blank = np.full((400, 400), paper, np.uint8)
    assert find(blank) == []
    assert find(with_noise(blank, 12, quality)) == []


def test_small_pictures_are_allowed() -> None:
    for shape in ((1, 1), (1, 90), (28, 28)):
        assert find(np.full(shape, 200, np.uint8)) == []


@pytest.mark.parametrize(
    "grey", [np.zeros((9, 9)), np.zeros((9, 9, 3), np.uint8), np.zeros((0, 9), np.uint8)]
)
def test_other_arrays_are_refused(grey: np.ndarray) -> None:
    with pytest.raises(ValueError, match="must be uint8"):
        find(grey)


def test_importing_it_does_not_import_scipy() -> None:
    code = "import sys, zoo.data.ink; sys.exit('scipy.ndimage' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
