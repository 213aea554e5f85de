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


def test_the_seed_decides() -> None:
    images = _images()
    assert np.array_equal(augment.shift(images, [1, 2], 2), augment.shift(images, [1, 2], 2))
    assert not np.array_equal(augment.shift(images, [1, 2], 2), augment.shift(images, [1, 3], 2))


def test_the_pipeline_moves_as_eager_code_does() -> None:
    images = _images()
    stream = tf.data.Dataset.from_tensors(images).map(lambda each: augment.shift(each, [4, 5], 1))
    np.testing.assert_array_equal(next(iter(stream)), augment.shift(images, [4, 5], 1))
