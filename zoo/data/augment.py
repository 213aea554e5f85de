"""Augment uint8 batches in the input pipeline, outside the model."""

from __future__ import annotations

import math
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


def warp(
    images: Any, seed: Any, *, shift: float, rotation: float, zoom: float, shear: float
) -> Any:
    """Rotate, zoom, shear and shift each image, in one bilinear resampling; fill with black (0).

    Each amount is drawn uniformly from both directions.

    Args:
        images: uint8 [B, H, W, C].
        seed: int tensor [2]; the same seed gives the same images.
        shift: largest shift along each axis, in pixels.
        rotation: largest angle, in degrees.
        zoom: largest change of the size, as a share of it; 0.1 gives 0.9 to 1.1 times the size.
        shear: largest horizontal displacement of a row, as a share of its distance from the center.

    Returns:
        uint8 [B, H, W, C].
    """
    batch, height, width, channels = images.shape
    drawn = tf.random.stateless_uniform([5, batch], seed, -1.0, 1.0)
    angle, size, slant = math.radians(rotation) * drawn[0], 1 + zoom * drawn[1], shear * drawn[2]
    right, down = shift * drawn[3], shift * drawn[4]
    # Where a pixel of the result comes from: the inverse of shear, rotation, zoom and shift.
    cosine, sine = tf.cos(angle) / size, tf.sin(angle) / size
    matrix = [[cosine - slant * sine, -sine - slant * cosine], [sine, cosine]]
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    x, y = middle_x + right, middle_y + down
    (a, b), (c, d) = matrix
    zero = tf.zeros_like(a)
    transforms = tf.stack(
        [a, b, middle_x - a * x - b * y, c, d, middle_y - c * x - d * y, zero, zero], axis=1
    )
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(images, tf.float32),
        transforms=transforms,
        output_shape=[height, width],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    return tf.ensure_shape(tf.cast(tf.round(moved), tf.uint8), [batch, height, width, channels])
