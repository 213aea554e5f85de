"""Pictures of any size to the network's, the same in training, in folders and on a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from etils import epy

with epy.lazy_imports():
    import tensorflow as tf


def resized(pixels: Any, size: Sequence[int]) -> Any:
    """Return a picture at another size, rounded to whole pixels.

    Args:
        pixels: uint8 tensor [h, w, channels].
        size: height and width wanted.

    Returns:
        uint8 tensor [height, width, channels].
    """
    values = tf.image.resize(pixels, size, antialias=True)
    return tf.cast(tf.round(tf.clip_by_value(values, 0, 255)), tf.uint8)
