from __future__ import annotations

import numpy as np
import tensorflow as tf

from zoo.data import augment


def _images() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 256, (16, 6, 5, 2), np.uint8)


def test_each_image_is_moved_whole_and_black_comes_in() -> None:
    images = _images()
    moved = augment.shift(images, [1, 2], 2).numpy()
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))
    offsets = set()
    for image, source in zip(moved, padded, strict=True):
        found = [
            (row, column)
            for row in range(5)
            for column in range(5)
            if np.array_equal(image, source[row : row + 6, column : column + 5])
        ]
        assert len(found) == 1
        offsets |= set(found)
    assert len(offsets) > 8


NONE = {"shift": 0.0, "rotation": 0.0, "zoom": 0.0, "shear": 0.0}


def _cross() -> np.ndarray:
    """Return an image with a horizontal and a vertical bar, repeated, uint8 [50, 29, 29, 1]."""
    image = np.zeros((29, 29, 1), np.uint8)
    image[13:16, 5:24] = image[9:20, 13:16] = 255
    return np.repeat(image[None], 50, axis=0)


def test_no_warp_changes_nothing() -> None:
    np.testing.assert_array_equal(augment.warp(_cross(), [1, 2], **NONE), _cross())


def _moments(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the center of the ink, x and y, and its covariances."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    weights = image.astype(np.float64).ravel()
    points = np.stack([x.ravel(), y.ravel()])
    return np.average(points, axis=1, weights=weights), np.cov(points, aweights=weights)


def test_a_warp_does_what_its_amounts_say_and_no_more() -> None:
    images, (center, spread) = _cross(), _moments(_cross()[0, ..., 0])

    def moments(**amount: float) -> tuple[np.ndarray, np.ndarray]:
        warped = augment.warp(images, [1, 2], **NONE | amount).numpy()[..., 0]
        centers, spreads = zip(*map(_moments, warped), strict=True)
        return np.array(centers), np.array(spreads)

    centers, spreads = moments(shift=3)
    moved = np.abs(centers - center)
    assert (moved.max(axis=0) < 3.01).all()
    assert (moved.max(axis=0) > 2.5).all()
    np.testing.assert_allclose(spreads, np.broadcast_to(spread, spreads.shape), atol=0.3)

    centers, spreads = moments(rotation=20)
    np.testing.assert_allclose(centers, np.broadcast_to(center, centers.shape), atol=0.1)
    _, vectors = np.linalg.eigh(spreads)
    angles = np.degrees(np.arctan2(vectors[:, 1, 1], vectors[:, 0, 1]))
    angles = (angles + 90) % 180 - 90
    assert -20.5 < angles.min() < -15
    assert 15 < angles.max() < 20.5

    centers, spreads = moments(zoom=0.2)
    sizes = np.sqrt(np.trace(spreads, axis1=1, axis2=2) / np.trace(spread))
    assert 0.78 < sizes.min() < 0.87
    assert 1.13 < sizes.max() < 1.22
    np.testing.assert_allclose(spreads[:, 0, 1], 0, atol=0.1)

    centers, spreads = moments(shear=0.5)
    slants = spreads[:, 0, 1] / spreads[:, 1, 1]
    assert -0.52 < slants.min() < -0.4
    assert 0.4 < slants.max() < 0.52
    np.testing.assert_allclose(spreads[:, 1, 1], spread[1, 1], atol=0.3)


def test_a_warp_is_the_same_for_a_seed_and_in_the_pipeline() -> None:
    images, amounts = _images(), {"shift": 1.0, "rotation": 9.0, "zoom": 0.1, "shear": 0.2}
    stream = tf.data.Dataset.from_tensors(images).map(
        lambda each: augment.warp(each, [4, 5], **amounts)
    )
    np.testing.assert_array_equal(next(iter(stream)), augment.warp(images, [4, 5], **amounts))
    assert not np.array_equal(
        augment.warp(images, [4, 5], **amounts), augment.warp(images, [4, 6], **amounts)
    )


def test_the_seed_decides() -> None:
    images = _images()
    assert np.array_equal(augment.shift(images, [1, 2], 2), augment.shift(images, [1, 2], 2))
    assert not np.array_equal(augment.shift(images, [1, 2], 2), augment.shift(images, [1, 3], 2))


def test_the_pipeline_moves_as_eager_code_does() -> None:
    images = _images()
    stream = tf.data.Dataset.from_tensors(images).map(lambda each: augment.shift(each, [4, 5], 1))
    np.testing.assert_array_equal(next(iter(stream)), augment.shift(images, [4, 5], 1))
