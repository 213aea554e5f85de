"""``zoo.data.preprocessing`` within a TensorFlow graph, so that a server takes PNG and JPEG files.

Nothing is decoded before its header was read: a few kilobytes can claim a picture of gigabytes.
"""

from __future__ import annotations

from typing import Any

from etils import epy

from zoo.data.preprocessing import BACKGROUNDS, Preprocessing

with epy.lazy_imports():
    import tensorflow as tf

CHANNELS = (1, 3)
"""What both decoders can deliver."""

MOST_PIXELS = 1 << 24
"""Largest height times width that is decoded: a server has many requests at one time."""

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER = 24  # bytes up to and with the width and height; the next one is the bit depth

# EXIF's entry of the orientation in either byte order: tag 0x0112, type SHORT, one value. RE2's
# \C is any byte.
_ORIENTATION = (
    r"^\C*?(?:\x01\x12\x00\x03\x00\x00\x00\x01\x00([\x01-\x08])"
    r"|\x12\x01\x03\x00\x01\x00\x00\x00([\x01-\x08])\x00)\C*$"
)
_EXIF_BYTES = 1 << 16  # in which EXIF stands: near the beginning, and no longer in JPEG files

# Pillow's and ITU-R 601's weights of red, green and blue, in 65,536ths.
_GREY = (19_595, 38_470, 7_471)


def facts(wanted: Preprocessing) -> dict[str, Any]:
    """Return what the manifest says of ``serve_bytes``, as JSON values.

    Its pixels are those of ``zoo.data.preprocessing``, but for ties in the rounding of a resized
    pixel.
    """
    return {
        "formats": ["PNG", "JPEG"],
        "most_pixels": MOST_PIXELS,
        "orientation": f"as EXIF says within a file's first {_EXIF_BYTES:,} bytes",
        "ink": (
            "not searched for: pictures are fitted as a whole"
            if wanted.ink
            else "not searched for, as in training"
        ),
    }


def decode(files: Any, wanted: Preprocessing) -> Any:
    """Return the pixels of PNG or JPEG files, prepared as training pictures are.

    Args:
        files: string [N].
        wanted: how; ``wanted.ink`` is not done here.

    Returns:
        uint8 [N, height, width, channels].

    Raises:
        InvalidArgumentError: when the graph runs: a file is neither PNG nor JPEG, is damaged, or
            has more than ``MOST_PIXELS`` pixels.
    """
    return tf.map_fn(
        lambda file: tf.ensure_shape(_prepare(_pixels(file, wanted), wanted), wanted.shape),
        files,
        fn_output_signature=tf.TensorSpec(wanted.shape, tf.uint8),
    )


def _pixels(file: Any, wanted: Preprocessing) -> Any:
    """Return the upright colours of a file, int32 [h, w, 3]."""
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
        pixels = tf.cond(is_png, lambda: _png_pixels(file, wanted), lambda: _jpeg_pixels(file))
    return _upright(pixels, file)


def _png_size(file: Any) -> Any:
    whole = tf.debugging.assert_greater_equal(
        tf.strings.length(file), _PNG_HEADER + 1, "image_bytes ends within its header"
    )
    with tf.control_dependencies([whole]):
        header = tf.strings.substr(file, _PNG_HEADER - 8, 8)
    width_and_height = tf.io.decode_raw(header, tf.int32, little_endian=False)
    return tf.reverse(width_and_height, [0])


def _jpeg_size(file: Any) -> Any:
    return tf.io.extract_jpeg_shape(file)[:2]


def _png_pixels(file: Any, wanted: Preprocessing) -> Any:
    """Return the colours of a PNG file, its transparent pixels on the background."""
    pixels = tf.cast(tf.io.decode_png(file, 4), tf.int32)
    colours, alpha = pixels[..., :3], pixels[..., 3:]
    # TensorFlow gives opaque pixels of 1, 2 and 4 bits an alpha of their largest value, not of 255.
    bits = tf.cast(tf.io.decode_raw(tf.strings.substr(file, _PNG_HEADER, 1), tf.uint8)[0], tf.int32)
    largest = tf.bitwise.left_shift(1, bits) - 1
    alpha = tf.where(tf.reduce_all(alpha == largest), 255, alpha)
    mixed = colours * alpha + BACKGROUNDS[wanted.background] * (255 - alpha)
    return (mixed + 127) // 255


def _jpeg_pixels(file: Any) -> Any:
    # The default method is faster, and up to 6 of 255 off what Pillow and others decode.
    return tf.cast(tf.io.decode_jpeg(file, 3, dct_method="INTEGER_ACCURATE"), tf.int32)


def _upright(pixels: Any, file: Any) -> Any:
    """Return the pixels turned as EXIF's orientation in the file says."""
    found = tf.strings.regex_replace(
        tf.strings.substr(file, 0, _EXIF_BYTES, unit="BYTE"), _ORIENTATION, r"\1\2"
    )
    number = tf.cond(
        tf.strings.length(found) == 1,
        lambda: tf.cast(tf.io.decode_raw(found, tf.uint8)[0], tf.int32),
        lambda: tf.constant(1),
    )

    def transposed(image: Any) -> Any:
        return tf.transpose(image, [1, 0, 2])

    turns = [
        lambda: pixels,
        lambda: pixels,
        lambda: pixels[:, ::-1],
        lambda: pixels[::-1, ::-1],
        lambda: pixels[::-1],
        lambda: transposed(pixels),
        lambda: transposed(pixels)[:, ::-1],
        lambda: transposed(pixels)[::-1, ::-1],
        lambda: transposed(pixels)[::-1],
    ]
    return tf.switch_case(number, turns)


def _prepare(pixels: Any, wanted: Preprocessing) -> Any:
    """Return colours as one image of the network, uint8 [height, width, channels]."""
    if wanted.channels == 1:
        grey = tf.reduce_sum(pixels * tf.constant(_GREY), axis=-1, keepdims=True)
        pixels = (grey + 0x8000) // 0x10000
    if wanted.polarity != "keep":
        light = _edge_colour(pixels)[0] > 127
        wrong = light != (wanted.polarity == "dark-on-light")
        pixels = tf.where(wrong, 255 - pixels, pixels)
    return tf.cast(_fitted(pixels, wanted), tf.uint8)


def _fitted(pixels: Any, wanted: Preprocessing) -> Any:
    """Repeat ``zoo.data.preprocessing.fit`` and ``geometry``."""
    height, width = tf.shape(pixels)[0], tf.shape(pixels)[1]
    wide = width * wanted.height >= height * wanted.width
    if wanted.fit == "stretch":
        return _resized(pixels, wanted.size)
    if wanted.fit == "crop":
        kept_width = tf.maximum(1, _rounded(height * wanted.width, wanted.height))
        kept_height = tf.maximum(1, _rounded(width * wanted.height, wanted.width))
        left, top = (width - kept_width) // 2, (height - kept_height) // 2
        cut = tf.cond(
            wide,
            lambda: pixels[:, left : left + kept_width],
            lambda: pixels[top : top + kept_height],
        )
        return _resized(cut, wanted.size)
    inner_height = tf.where(
        wide, tf.maximum(1, _rounded(height * wanted.width, width)), wanted.height
    )
    inner_width = tf.where(
        wide, wanted.width, tf.maximum(1, _rounded(width * wanted.height, height))
    )
    inner = _resized(pixels, (inner_height, inner_width))
    top, left = (wanted.height - inner_height) // 2, (wanted.width - inner_width) // 2
    margins = [
        [top, wanted.height - inner_height - top],
        [left, wanted.width - inner_width - left],
        [0, 0],
    ]
    is_inner = tf.pad(tf.ones_like(inner, tf.bool), margins)
    return tf.where(is_inner, tf.pad(inner, margins), _edge_colour(pixels))


def _edge_colour(pixels: Any) -> Any:
    """Repeat ``zoo.data.preprocessing.edge_colour``, int32 [C]."""
    edges = tf.concat([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]], axis=0)
    return tf.sort(edges, axis=0)[(tf.shape(edges)[0] - 1) // 2]


def _resized(pixels: Any, size: Any) -> Any:
    resized = tf.image.resize(pixels, size, antialias=True)
    # Sums of weights leave pixels of 255 a little above it.
    return tf.cast(tf.round(tf.clip_by_value(resized, 0, 255)), tf.int32)


def _rounded(dividend: Any, divisor: Any) -> Any:
    return (2 * dividend + divisor) // (2 * divisor)
