"""Picture files to pixels within a TensorFlow graph, so that a server takes files as they are.

Nothing is decoded before its header was read: a few kilobytes can claim a picture of gigabytes.
"""

from __future__ import annotations

from typing import Any

from etils import epy

from zoo.pixels import resized

with epy.lazy_imports():
    import tensorflow as tf

CHANNELS = (1, 3)
"""What both decoders can deliver."""

MOST_PIXELS = 1 << 24
"""Largest height times width that is decoded."""

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER = 24  # bytes up to and with the width and height


def decode(files: Any, shape: tuple[int, int, int]) -> Any:
    """Return the pixels of PNG or JPEG files, resized as training pictures are.

    Args:
        files: string [N].
        shape: height, width and channels of the network's images.

    Returns:
        uint8 [N, height, width, channels].

    Raises:
        InvalidArgumentError: when the graph runs: a file is neither PNG nor JPEG, is damaged, or
            has more than ``MOST_PIXELS`` pixels.
    """
    *size, channels = shape
    spec = tf.TensorSpec([*size, channels], tf.uint8)
    return tf.map_fn(
        lambda file: tf.ensure_shape(resized(_pixels(file, channels), size), spec.shape),
        files,
        fn_output_signature=spec,
    )


def _pixels(file: Any, channels: int) -> Any:
    is_png = tf.strings.substr(file, 0, len(_PNG)) == _PNG
    known = tf.debugging.Assert(
        is_png | tf.io.is_jpeg(file), ["image_bytes is neither a PNG nor a JPEG file"]
    )
    with tf.control_dependencies([known]):
        size = tf.cond(is_png, lambda: _png_size(file), lambda: _jpeg_size(file))
    # As floats: the product of two sizes of a header may leave the integers.
    area = tf.reduce_prod(tf.cast(size, tf.float64))
    small = tf.debugging.Assert(
        (area >= 1) & (area <= MOST_PIXELS),
        [f"image_bytes must have 1 to {MOST_PIXELS} pixels, its height and width are", size],
    )
    with tf.control_dependencies([small]):
        return tf.cond(
            is_png,
            lambda: tf.io.decode_png(file, channels),
            lambda: tf.io.decode_jpeg(file, channels),
        )


def _png_size(file: Any) -> Any:
    whole = tf.debugging.assert_greater_equal(
        tf.strings.length(file), _PNG_HEADER, "image_bytes ends within its header"
    )
    with tf.control_dependencies([whole]):
        header = tf.strings.substr(file, _PNG_HEADER - 8, 8)
    width_and_height = tf.io.decode_raw(header, tf.int32, little_endian=False)
    return tf.reverse(width_and_height, [0])


def _jpeg_size(file: Any) -> Any:
    return tf.io.extract_jpeg_shape(file)[:2]
