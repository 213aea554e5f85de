"""Augment uint8 batches in the input pipeline, outside the model."""

from __future__ import annotations

from typing import Any

from etils import epy

with epy.lazy_imports():
    import tensorflow as tf


def shift(images: Any, seed: Any, most: int) -> Any:
    """Shift each image by up to ``most`` pixels along each axis, and fill with black (0).

    Args:
        images: uint8 [B, H, W, C].
        seed: int tensor [2]; the same seed gives the same shifts.
        most: largest shift in pixels.

    Returns:
        uint8 [B, H, W, C].
    """
    batch, height, width, channels = images.shape
    padded = tf.pad(images, [[0, 0], [most, most], [most, most], [0, 0]])
    offsets = tf.random.stateless_uniform([batch, 2], seed, 0, 2 * most + 1, tf.int32)
    # Gathering indices for each axis needs no per-image loop and no resampling.
    rows = offsets[:, 0, None] + tf.range(height)
    columns = offsets[:, 1, None] + tf.range(width)
    moved = tf.gather(padded, rows, axis=1, batch_dims=1)
    moved = tf.gather(tf.transpose(moved, [0, 2, 1, 3]), columns, axis=1, batch_dims=1)
    return tf.ensure_shape(tf.transpose(moved, [0, 2, 1, 3]), [batch, height, width, channels])
