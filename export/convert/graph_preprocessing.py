"""``zoo.data.preprocessing`` as a TensorFlow graph, so that a server accepts PNG and JPEG files.

The size in the header is checked before decoding: a file of a few kilobytes can declare gigabytes.
"""

from __future__ import annotations

from typing import Any

from etils import epy

from zoo.data.preprocessing import BACKGROUNDS, Preprocessing

with epy.lazy_imports():
    import tensorflow as tf

CHANNELS = (1, 3)
"""Numbers of channels that both decoders support."""

MOST_PIXELS = 1 << 24
"""Largest height times width that is decoded.

Pictures with more pixels are rejected, because a server handles many requests at once.
"""

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER = 24  # bytes up to and including width and height; the next byte is the bit depth

# A file with EXIF data; the group is what precedes them. In RE2, \C matches any byte.
_EXIF = r"^(\C*?(?:Exif\x00\x00|eXIf))(?:II\*\x00|MM\x00\*)\C*$"
_EXIF_HEADER = 8  # bytes of the byte order, a fixed number and the position of the first entries
_ORIENTATION = 0x0112  # its tag
_SHORT, _LONG = 3, 4  # types of EXIF values
_EXIF_BYTES = 1 << 16  # EXIF is near the beginning of a file, and at most this long in JPEG

# Weights of red, green and blue in Pillow and ITU-R 601, times 65,536.
_GREY = (19_595, 38_470, 7_471)


def facts(wanted: Preprocessing) -> dict[str, Any]:
    """Return the manifest's entry on ``serve_bytes``, as JSON values.

    Its pixels equal those of ``zoo.data.preprocessing`` without ink detection, except for rounding
    ties in resizing.
    """
    return {
        "formats": ["PNG", "JPEG"],
        "most_pixels": MOST_PIXELS,
        "orientation": f"from EXIF data in the first {_EXIF_BYTES:,} bytes of a file",
        "ink": (
            "not detected: the whole picture is fitted"
            if wanted.ink
            else "not detected, as in training"
        ),
    }


def decode(files: Any, wanted: Preprocessing) -> Any:
    """Decode PNG or JPEG files and prepare them like training images.

    Args:
        files: string [N], contents of the files.
        wanted: the preprocessing, which is applied without ink detection.

    Returns:
        uint8 [N, height, width, channels].

    Raises:
        InvalidArgumentError: when the graph runs, if a file is neither PNG nor JPEG, is damaged,
            or has more than ``MOST_PIXELS`` pixels.
    """
    return tf.map_fn(
        lambda file: tf.ensure_shape(_prepare(_pixels(file, wanted), wanted), wanted.shape),
        files,
        fn_output_signature=tf.TensorSpec(wanted.shape, tf.uint8),
    )


def _pixels(file: Any, wanted: Preprocessing) -> Any:
    """Return the RGB pixels of a file, upright, int32 [h, w, 3]."""
    is_png = tf.strings.substr(file, 0, len(_PNG)) == _PNG
    known = tf.debugging.Assert(
        is_png | tf.io.is_jpeg(file), ["image_bytes is neither a PNG nor a JPEG file"]
    )
    with tf.control_dependencies([known]):
        size = tf.cond(is_png, lambda: _png_size(file), lambda: _jpeg_size(file))
    # The product of two sizes may overflow an integer, so it is computed in floats.
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
        tf.strings.length(file), _PNG_HEADER + 1, "image_bytes is truncated within its header"
    )
    with tf.control_dependencies([whole]):
        header = tf.strings.substr(file, _PNG_HEADER - 8, 8)
    width_and_height = tf.io.decode_raw(header, tf.int32, little_endian=False)
    return tf.reverse(width_and_height, [0])


def _jpeg_size(file: Any) -> Any:
    return tf.io.extract_jpeg_shape(file)[:2]


def _png_pixels(file: Any, wanted: Preprocessing) -> Any:
    """Return the RGB pixels of a PNG file, blended with the background where transparent."""
    pixels = tf.cast(tf.io.decode_png(file, 4), tf.int32)
    colours, alpha = pixels[..., :3], pixels[..., 3:]
    # For 1, 2 and 4 bits, TensorFlow sets the alpha of opaque pixels to the largest value, not 255.
    before_pixels = tf.strings.regex_replace(file, r"IDAT\C*", "")
    is_opaque = ~tf.strings.regex_full_match(before_pixels, r"\C*tRNS\C*")
    bits = tf.cast(tf.io.decode_raw(tf.strings.substr(file, _PNG_HEADER, 1), tf.uint8)[0], tf.int32)
    largest = tf.bitwise.left_shift(1, bits) - 1
    alpha = tf.where(is_opaque & tf.reduce_all(alpha == largest), 255, alpha)
    mixed = colours * alpha + BACKGROUNDS[wanted.background] * (255 - alpha)
    return (mixed + 127) // 255


def _jpeg_pixels(file: Any) -> Any:
    # The default method is faster, but differs by up to 6 of 255 from Pillow and other decoders.
    return tf.cast(tf.io.decode_jpeg(file, 3, dct_method="INTEGER_ACCURATE"), tf.int32)


def _upright(pixels: Any, file: Any) -> Any:
    """Return the pixels rotated and flipped by the EXIF orientation of the file."""

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
    return tf.switch_case(_orientation(file), turns)


def _orientation(file: Any) -> Any:
    """Return the EXIF orientation of the main image of a file, int32 from 1 to 8."""
    head = tf.strings.substr(file, 0, _EXIF_BYTES, unit="BYTE")
    before = tf.strings.length(tf.strings.regex_replace(head, _EXIF, r"\1"))
    values = tf.cast(tf.io.decode_raw(head, tf.uint8), tf.int32)
    exif = tf.pad(values[before:], [[0, _EXIF_HEADER]])  # only zeros if there are no EXIF data

    def number(column: Any, size: int) -> Any:
        """Return the numbers of some bytes, int32 [N], in the byte order of the data."""
        digits = tf.reshape(column, [-1, size])
        ordered = tf.where(exif[0] == ord("M"), digits, digits[:, ::-1])
        return tf.reduce_sum(ordered * [256**power for power in reversed(range(size))], axis=1)

    first = tf.clip_by_value(number(exif[4:_EXIF_HEADER], 4)[0], 0, tf.size(exif) - 2)
    count = number(exif[first : first + 2], 2)[0]
    listed = exif[first + 2 : first + 2 + 12 * count]
    entries = tf.reshape(listed[: tf.size(listed) // 12 * 12], [-1, 12])
    kind, amount = number(entries[:, 2:4], 2), number(entries[:, 4:8], 4)
    value = tf.where(kind == _SHORT, number(entries[:, 8:10], 2), number(entries[:, 8:], 4))
    is_found = (number(entries[:, :2], 2) == _ORIENTATION) & (amount == 1)
    is_found &= ((kind == _SHORT) | (kind == _LONG)) & (value >= 1) & (value <= 8)
    return tf.concat([[1], tf.boolean_mask(value, is_found)], 0)[-1]


def _prepare(pixels: Any, wanted: Preprocessing) -> Any:
    """Convert RGB pixels to an image for the network, uint8 [height, width, channels]."""
    if wanted.channels == 1:
        grey = tf.reduce_sum(pixels * tf.constant(_GREY), axis=-1, keepdims=True)
        pixels = (grey + 0x8000) // 0x10000
    if wanted.polarity != "keep":
        light = _edge_colour(pixels)[0] > 127
        wrong = light != (wanted.polarity == "dark-on-light")
        pixels = tf.where(wrong, 255 - pixels, pixels)
    return tf.cast(_fitted(pixels, wanted), tf.uint8)


def _fitted(pixels: Any, wanted: Preprocessing) -> Any:
    """Fit pixels to the image size as ``zoo.data.preprocessing.fit`` and ``geometry`` do."""
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
    """Return the color of ``zoo.data.preprocessing.edge_colour``, int32 [C]."""
    edges = tf.concat([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]], axis=0)
    return tf.sort(edges, axis=0)[(tf.shape(edges)[0] - 1) // 2]


def _resized(pixels: Any, size: Any) -> Any:
    resized = tf.image.resize(pixels, size, antialias=True)
    # Rounding errors in the weights can raise pixels of 255 slightly above 255.
    return tf.cast(tf.round(tf.clip_by_value(resized, 0, 255)), tf.int32)


def _rounded(dividend: Any, divisor: Any) -> Any:
    return (2 * dividend + divisor) // (2 * divisor)
