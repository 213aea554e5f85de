from __future__ import annotations

import dataclasses
import io
import itertools
from pathlib import Path

import keras
import numpy as np
import PIL.Image
import pytest

import zoo
from zoo.data import Dataset
from zoo.metrics import Metrics
from zoo.runs import plots


@pytest.fixture(scope="module")
def score(digits: Dataset) -> Metrics:
    """Return a score with one uncertain and two confident errors."""
    logits = 5 * np.eye(10, dtype=np.float32)[digits.test.labels]
    for image, conviction in ((3, 6), (7, 90), (9, 20)):
        logits[image, (digits.test.labels[image] + 1) % 10] = conviction
    return Metrics(len(digits.test) - 3, len(digits.test), 0.1, logits)


def test_the_worst_mistake_comes_first(digits: Dataset, score: Metrics) -> None:
    (axes,) = plots.mistakes(digits, score).axes
    expected = [
        f"true: {digits.test.labels[at]}\n"
        f"predicted: {(digits.test.labels[at] + 1) % 10} ({confidence} %)"
        for at, confidence in ((7, 100), (9, 100), (3, 72))
    ]
    assert [text.get_text() for text in axes.texts] == expected
    np.testing.assert_array_equal(axes.images[0].get_array(), digits.test.images[7, :, :, 0])


def test_the_confusion_counts_every_image(digits: Dataset, score: Metrics) -> None:
    (axes,) = plots.confusion(digits, score).axes
    assert sum(int(text.get_text()) for text in axes.texts) == len(digits.test)
    assert np.asarray(axes.images[0].get_array()).sum() == 3
    assert axes.get_title() == "3 errors of 353"


@pytest.mark.parametrize(("name", "count", "side"), [("ltfn5", 64, 3), ("ltfn1", 10, 28)])
def test_the_filters_are_the_first_kernels(name: str, count: int, side: int) -> None:
    model = zoo.create_model(name)
    picture = plots.filters(model)
    assert picture
    (axes,) = picture.axes
    images = [np.asarray(image.get_array()) for image in axes.images]
    assert [image.shape for image in images] == [(side, side)] * count
    kernel = np.asarray(model.layers[2 if name == "ltfn5" else 3].kernel)
    np.testing.assert_array_equal(images[4].ravel(), kernel[..., 4].ravel())


def test_the_filters_of_color_images_are_in_color() -> None:
    model = zoo.create_model("ltfn5", input_shape=(32, 32, 3))
    picture = plots.filters(model)
    assert picture
    (axes,) = picture.axes
    images = np.stack([np.asarray(image.get_array()) for image in axes.images])
    kernel = np.moveaxis(np.asarray(model.get_layer("layer1").kernel), -1, 0)
    assert images.shape == kernel.shape == (64, 3, 3, 3)
    assert np.abs(images - 0.5).max() == pytest.approx(0.5)  # the largest weight has full contrast
    scale = 2 * np.abs(kernel).max()
    np.testing.assert_allclose(images, 0.5 + kernel / scale, atol=1e-6)


@pytest.mark.parametrize(
    "first",
    [
        [keras.layers.AveragePooling2D(2), keras.layers.Flatten(), keras.layers.Dense(4)],
        [keras.layers.SeparableConv2D(4, 3)],
    ],
    ids=["dense, after a pool", "separable"],
)
def test_kernels_that_are_no_images_are_not_shown(first: list[keras.Layer]) -> None:
    assert plots.filters(keras.Sequential([keras.Input((28, 28, 1)), *first])) is None


def test_a_perfect_score_leaves_no_mistakes_to_show(digits: Dataset) -> None:
    perfect = Metrics(353, 353, 0.0, np.eye(10, dtype=np.float32)[digits.test.labels])
    (axes,) = plots.mistakes(digits, perfect).axes
    assert (*axes.images, *axes.texts) == ()


def test_the_names_of_classes_are_not_formulas(digits: Dataset, score: Metrics) -> None:
    names = (r"$\female$", "$_$", "a$^$b", *"3456789")
    dataset = dataclasses.replace(digits, class_names=names)
    for picture in (plots.confusion(dataset, score), plots.mistakes(dataset, score)):
        picture.savefig(io.BytesIO(), format="png")


def test_images_do_not_overlap() -> None:
    tall = [np.zeros((40, 20, 3), np.uint8)] * 7
    for titles in ([""] * 7, ["a\nb"] * 7):
        (axes,) = plots._gallery(np.stack(tall), titles, "tall").axes
        boxes = [image.get_extent() for image in axes.images]
        for left, right, bottom, top in boxes:
            assert (bottom - top) / (right - left) == pytest.approx(2)
        for one, other in itertools.combinations(boxes, 2):
            beside = one[1] < other[0] or other[1] < one[0]
            assert beside or one[2] < other[3] or other[2] < one[3]


def test_a_run_has_its_pictures(workplace: Path) -> None:
    for name in ("curves", "confusion", "mistakes", "filters"):
        with PIL.Image.open(workplace / "runs" / "ltfn5" / f"{name}.png") as picture:
            assert min(picture.size) > 200
            assert len(set(picture.convert("L").resize((64, 64)).tobytes())) > 3, name
