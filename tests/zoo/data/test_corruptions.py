from __future__ import annotations

import numpy as np
import pytest

from zoo.data import Dataset
from zoo.data.corruptions import CORRUPTIONS, SEVERITIES, corrupt

MOVING = ("shift", "rotation", "scale", "occlusion")


@pytest.fixture(scope="module")
def color(digits: Dataset) -> np.ndarray:
    """Return non-square color images on a background of one color."""
    images = np.repeat(digits.test.images[:8, :, 4:24], 3, axis=3) // 2
    return images + np.array([120, 60, 0], np.uint8)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_same_images_become_worse_in_the_same_way(
    name: str, digits: Dataset, color: np.ndarray
) -> None:
    for images in (digits.test.images[:8], color):
        versions = [corrupt(images, name, severity) for severity in SEVERITIES]
        assert all(each.shape == images.shape and each.dtype == np.uint8 for each in versions)
        np.testing.assert_array_equal(versions[2], corrupt(images, name, 3))
        np.testing.assert_array_equal(versions[2][:3], corrupt(images[:3], name, 3))
        changes = [np.abs(each.astype(int) - images).mean() for each in versions]
        assert changes[0] > 0
        assert changes == sorted(changes)


@pytest.mark.parametrize("name", MOVING)
def test_what_comes_in_has_the_color_of_the_border(
    name: str, digits: Dataset, color: np.ndarray
) -> None:
    dark = digits.test.images[:8]
    light = corrupt(255 - dark, name, 5)
    assert np.abs(255 - light.astype(int) - corrupt(dark, name, 5)).max() <= 1
    assert np.all(corrupt(color, name, 5)[:, 0, 0] == [120, 60, 0])


def _moments(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the center of mass and the covariance of the bright pixels, as (x, y)."""
    y, x = np.nonzero(image[:, :, 0] > -1)
    weights = image.ravel().astype(float)
    return np.average([x, y], axis=1, weights=weights), np.cov([x, y], aweights=weights)


def test_moves_have_the_size_that_the_table_says() -> None:
    bar = np.zeros((1, 40, 40, 1), np.uint8)
    bar[:, 18:22, 12:28] = 200
    center, spread = _moments(bar[0])

    shifted, _ = _moments(corrupt(bar, "shift", 4)[0])
    assert np.hypot(*(shifted - center)) == pytest.approx(0.16 * 40, abs=0.1)

    at, turned = _moments(corrupt(bar, "rotation", 5)[0])
    (x, y) = np.linalg.eigh(turned)[1][:, 1]
    assert abs(np.degrees(np.arctan(y / x))) == pytest.approx(40, abs=1)
    assert at == pytest.approx(center, abs=0.1)

    at, smaller = _moments(corrupt(bar, "scale", 5)[0])
    assert np.sqrt(smaller[0, 0] / spread[0, 0]) == pytest.approx(0.5, abs=0.03)
    assert at == pytest.approx(center, abs=0.1)


def test_noise_and_contrast_have_the_strengths_of_the_paper() -> None:
    grey = np.full((4, 50, 50, 1), 128, np.uint8)
    assert corrupt(grey, "noise", 1).std() == pytest.approx(0.08 * 255, rel=0.03)
    halves = np.zeros((1, 10, 10, 1), np.uint8)
    halves[:, 5:] = 200
    assert np.unique(corrupt(halves, "contrast", 4)).tolist() == [90, 110]
