from __future__ import annotations

import hashlib
import io
import itertools
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
import tensorflow as tf
from PIL.PngImagePlugin import PngInfo

from export.convert import graph_preprocessing
from zoo.data import Dataset, preprocessing
from zoo.data.preprocessing import Prepared, Preprocessing
from zoo.errors import InputError

TURNED = (0x112, 4, 1, 6)  # the orientation, of type LONG
XMP = '<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
PIXELS = np.clip(
    np.random.default_rng(0).normal(128, 40, (37, 91, 3)).cumsum(0) % 255, 0, 255
).astype(np.uint8)


def _wanted(height: int = 28, width: int = 28, channels: int = 1, **choices: Any) -> Preprocessing:
    return Preprocessing(height=height, width=width, channels=channels, **choices)


def _saved(picture: PIL.Image.Image, format: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()


def _prepared(picture: PIL.Image.Image, wanted: Preprocessing, **options: Any) -> Prepared:
    return preprocessing.prepare(preprocessing.decode(_saved(picture, **options)), wanted)


def _oriented(orientation: int) -> PIL.Image.Exif:
    exif = PIL.Image.Exif()
    exif[0x112] = orientation
    return exif


def _tiff(order: str, *entries: tuple[int, int, int, int]) -> bytes:
    """Return a TIFF file in a byte order; an entry is its tag, type, count and 32-bit value."""
    mark = {"<": b"II", ">": b"MM"}[order]
    header = mark + struct.pack(f"{order}HIH", 42, 8, len(entries))
    return header + b"".join(struct.pack(f"{order}HHII", *each) for each in entries) + bytes(4)


def _exif(order: str, *entries: tuple[int, int, int, int]) -> bytes:
    return b"Exif\0\0" + _tiff(order, *entries)


def _grey_tiff(**changed: int) -> bytes:
    """Return a TIFF file of 8x8 pixels, with some of its values changed."""
    tags = {
        "width": 256, "height": 257, "bits": 258, "compression": 259, "photometric": 262,
        "strip": 273, "samples": 277, "rows": 278, "length": 279, "sample_format": 339,
    }  # fmt: skip
    usual = {"width": 8, "height": 8, "bits": 16, "compression": 1, "photometric": 1, "samples": 1}
    usual |= {"rows": 8, "length": 128, "sample_format": 1, "strip": 10 + 12 * len(tags) + 4}
    values = usual | changed
    pixels = np.linspace(0, 65_535, 64).astype("<u2").tobytes()
    return _tiff("<", *((tag, 4, 1, values[name]) for name, tag in tags.items())) + pixels


def _comment(name: str, text: str) -> PngInfo:
    info = PngInfo()
    info.add_itxt(name, text)
    return info


def _files() -> Iterator[tuple[str, bytes]]:
    """Yield PNG and JPEG files of every kind that a server may receive."""
    picture = PIL.Image.fromarray(PIXELS)
    alpha = picture.convert("RGBA")
    alpha.putalpha(PIL.Image.fromarray(np.arange(37 * 91).astype(np.uint8).reshape(37, 91)))
    yield "rgb", _saved(picture)
    yield "grey", _saved(picture.convert("L"))
    yield "palette", _saved(picture.convert("P"))
    yield "two bits", _saved(picture.quantize(4), bits=2)
    for bits in (1, 2, 4):
        small, faint = picture.quantize(2**bits), bytes([2**bits - 1] * 2**bits)
        yield f"{bits} bits, nearly transparent", _saved(small, bits=bits, transparency=faint)
    yield "one bit", _saved(picture.convert("1"))
    yield "16 bits", _saved(PIL.Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 257 + 200))
    deep = PIL.Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 257)
    yield "16 bits, one grey transparent", _saved(deep, transparency=int(PIXELS[0, 0, 0]) * 257)
    yield "rgba", _saved(alpha)
    yield "grey and alpha", _saved(alpha.convert("LA"))
    yield "turned png", _saved(picture, exif=_oriented(6))
    yield "turned in a comment", _saved(picture, pnginfo=_comment("XML:com.adobe.xmp", XMP))
    yield "turned in a jpeg's comment", _saved(picture, "JPEG", xmp=XMP.encode())
    for order in "<>":
        yield f"turned in 32 bits, {order}", _saved(picture, "JPEG", exif=_exif(order, TURNED))
    # The resolution is a fraction, not a byte.
    odd = _exif("<", TURNED, (0x11A, 1, 1, 9))
    yield "turned, with a wrong type beside", _saved(picture, "JPEG", exif=odd)
    # The second list of entries describes the thumbnail, and says nothing of the picture.
    main = _tiff("<", (0x128, 3, 1, 2))[:-4]
    thumbnail = main + struct.pack("<I", len(main) + 4) + _tiff("<", TURNED)[8:]
    yield "turned thumbnail", _saved(picture, "JPEG", exif=b"Exif\0\0" + thumbnail)
    yield "damaged EXIF data", _saved(picture, "JPEG", exif=b"Exif\0\0garbage")
    far = b"II" + struct.pack("<HI", 42, 20) + bytes(12) + _tiff("<", TURNED)[8:]
    yield "turned, with entries elsewhere", _saved(picture, "JPEG", exif=b"Exif\0\0" + far)
    yield "jpeg", _saved(picture, "JPEG", quality=90)
    yield "grey jpeg", _saved(picture.convert("L"), "JPEG")
    yield "cmyk jpeg", _saved(picture.convert("CMYK"), "JPEG")
    # Phones store a second picture in some files; Pillow gives these another format.
    second = {"save_all": True, "append_images": [picture], "exif": _oriented(6)}
    yield "turned, with a second picture", _saved(picture, "MPO", **second)
    for orientation in range(1, 9):
        yield f"turned {orientation}", _saved(picture, "JPEG", exif=_oriented(orientation))


CHOICES = [
    (fit, polarity, channels, background, size)
    for fit, polarity, channels, background, size in itertools.product(
        preprocessing.FITS,
        preprocessing.POLARITIES,
        graph_preprocessing.CHANNELS,
        preprocessing.BACKGROUNDS,
        ((28, 28), (20, 64)),
    )
    if channels == 1 or polarity == "keep"
]


@pytest.mark.parametrize(("fit", "polarity", "channels", "background", "size"), CHOICES)
def test_the_graph_gives_the_same_pixels(
    fit: str, polarity: str, channels: int, background: str, size: tuple[int, int]
) -> None:
    wanted = _wanted(*size, channels, fit=fit, polarity=polarity, background=background)
    graph = tf.function(
        lambda files: graph_preprocessing.decode(files, wanted),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    for name, content in _files():
        ours = preprocessing.prepare(preprocessing.decode(content), wanted).image
        theirs = graph(tf.constant([content]))[0].numpy()
        different = np.abs(ours.astype(int) - theirs)
        # Rounding ties may change a few pixels by 1 of 255.
        assert different.max() <= 1, name
        assert np.mean(different > 0) < 0.05, name


@pytest.mark.parametrize("channels", [1, 3])
def test_the_graph_gives_the_same_bytes_where_nothing_is_resized(channels: int) -> None:
    wanted = _wanted(37, 91, channels)
    for name, content in _files():
        picture = preprocessing.decode(content)
        if picture.size == (91, 37):
            ours = preprocessing.prepare(picture, wanted).image
            theirs = graph_preprocessing.decode(tf.constant([content]), wanted)[0].numpy()
            np.testing.assert_array_equal(ours, theirs, err_msg=name)


@pytest.fixture
def digit(digits: Dataset) -> PIL.Image.Image:
    return PIL.Image.fromarray(digits.test.images[0, :, :, 0])


def test_an_image_of_the_set_is_used_as_it_is(digit: PIL.Image.Image) -> None:
    prepared = _prepared(digit, _wanted())
    assert prepared.steps == ()
    assert prepared.box == (0, 0, 28, 28)
    np.testing.assert_array_equal(prepared.image[:, :, 0], digit)


def test_dark_ink_on_transparent_paper_becomes_the_same(digit: PIL.Image.Image) -> None:
    ink = digit.resize((280, 280), PIL.Image.Resampling.NEAREST)
    picture = PIL.Image.new("RGBA", ink.size, (0, 0, 0, 0))
    picture.putalpha(ink)
    prepared = _prepared(picture, _wanted(polarity="light-on-dark"))
    assert prepared.steps == (
        "transparency filled with white", "converted to grey", "inverted",
        "resized from 280x280 to 28x28",
    )  # fmt: skip
    # The triangle filter includes some neighbouring pixels.
    assert np.abs(prepared.image[:, :, 0].astype(int) - np.asarray(digit)).mean() < 6


def test_transparent_pixels_get_the_stated_background() -> None:
    clear = PIL.Image.new("RGBA", (28, 28), (200, 0, 0, 0))
    for background, value in preprocessing.BACKGROUNDS.items():
        image = _prepared(clear, _wanted(channels=3, background=background)).image
        assert set(np.unique(image)) == {value}


@pytest.mark.parametrize(("own", "channels"), [(1, 3), (3, 1), (4, 3), (4, 1)])
def test_images_of_a_batch_are_converted_as_pictures_are(own: int, channels: int) -> None:
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (5, 6, 7, own), np.uint8)
    wanted = _wanted(6, 7, channels, background="black")
    converted = preprocessing.with_channels(images, wanted)
    assert converted.shape == (5, 6, 7, channels)
    for image, found in zip(images, converted, strict=True):
        picture = PIL.Image.fromarray(image[..., 0] if own == 1 else image)
        np.testing.assert_array_equal(found, _prepared(picture, wanted).image)


@pytest.mark.parametrize(("own", "channels"), [(2, 3), (13, 3), (3, 2), (1, 4)])
def test_other_channels_are_refused(own: int, channels: int) -> None:
    wanted = Preprocessing(height=8, width=8, channels=channels)
    with pytest.raises(InputError, match=f"of {own} channels cannot be converted to {channels}"):
        preprocessing.with_channels(np.zeros((1, 8, 8, own), np.uint8), wanted)
    with pytest.raises(InputError, match="cannot be converted to 2 channels, only to 1 or 3"):
        preprocessing.prepare(
            PIL.Image.new("RGB", (8, 8)), Preprocessing(height=8, width=8, channels=2)
        )


def test_other_modes(digit: PIL.Image.Image) -> None:
    deep = PIL.Image.fromarray(np.asarray(digit).astype(np.uint16) * 257)
    for picture in (digit.convert("RGB"), digit.convert("P"), deep):
        prepared = _prepared(picture, _wanted())
        np.testing.assert_array_equal(prepared.image[:, :, 0], digit, err_msg=picture.mode)
    grey = preprocessing.prepare(preprocessing.decode(_grey_tiff()), _wanted(8, 8)).image
    np.testing.assert_array_equal(grey.ravel(), np.linspace(0, 65_535, 64).astype(int) >> 8)
    for format, options in (("WEBP", {"lossless": True}), ("TIFF", {}), ("BMP", {}), ("GIF", {})):
        prepared = _prepared(digit, _wanted(), format=format, **options)
        np.testing.assert_array_equal(prepared.image[:, :, 0], digit, err_msg=format)


def test_other_pixels_need_another_version(digit: PIL.Image.Image) -> None:
    seen = hashlib.sha256()
    kinds = ("rgb", "grey", "palette", "one bit", "16 bits", "rgba", "turned png")
    pictures = [dict(_files())[kind] for kind in kinds]
    for ink, fit in itertools.product((False, True), preprocessing.FITS):
        wanted = _wanted(fit=fit, polarity="light-on-dark", ink=ink)
        photo = _saved(digit.resize((90, 120)))
        for content in (*pictures, photo):
            seen.update(
                preprocessing.prepare(preprocessing.decode(content), wanted).image.tobytes()
            )
    assert (preprocessing.VERSION, seen.hexdigest()[:16]) == (1, "19774004fb220cb4")


def test_only_the_first_frame_is_read(digit: PIL.Image.Image) -> None:
    blank = PIL.Image.new("L", digit.size, 255)
    prepared = _prepared(digit, _wanted(), format="GIF", save_all=True, append_images=[blank])
    np.testing.assert_array_equal(prepared.image[:, :, 0], digit)


def test_frames_are_counted(digit: PIL.Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "a"
    more = {"save_all": True, "append_images": [PIL.ImageOps.flip(digit), digit]}
    for format, count in (("GIF", 3), ("TIFF", 3), ("WEBP", 3), ("PNG", 3), ("MPO", 1)):
        path.write_bytes(_saved(digit, format, **more))
        assert preprocessing.frame_count(path) == count, format
        path.write_bytes(_saved(digit, format))
        assert preprocessing.frame_count(path) == 1, format
    # The next frame should be far beyond the end of the file.
    content = _grey_tiff()
    path.write_bytes(content[:130] + struct.pack("<I", 10_000) + content[134:])
    assert preprocessing.frame_count(path) == 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright(orientation: int) -> None:
    upright = np.zeros((28, 28), np.uint8)
    upright[4:10, 3:20] = 255
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.T, 6: np.rot90(upright), 7: upright[::-1, ::-1].T, 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    picture = PIL.Image.fromarray(np.ascontiguousarray(stored))
    prepared = _prepared(picture, _wanted(), exif=_oriented(orientation))
    np.testing.assert_array_equal(prepared.image[..., 0], upright)


def test_a_webp_file_is_not_turned_as_in_browsers() -> None:
    picture = PIL.Image.fromarray(PIXELS)
    content = _saved(picture, "WEBP", lossless=True, exif=_oriented(6))
    np.testing.assert_array_equal(preprocessing.decode(content), PIXELS)


def test_fits() -> None:
    wide = np.full((20, 40, 1), 10, np.uint8)
    wide[:, 10:30] = 200
    padded, box = preprocessing.fit(wide, _wanted(20, 20, fit="pad"))
    assert box == (0, 0, 40, 20)
    assert set(np.unique(padded[:5])) == {10}
    assert padded[10, 10, 0] == 200
    cropped, box = preprocessing.fit(wide, _wanted(20, 20, fit="crop"))
    assert box == (10, 0, 30, 20)
    assert set(np.unique(cropped)) == {200}
    stretched, box = preprocessing.fit(wide, _wanted(20, 20, fit="stretch"))
    assert box == (0, 0, 40, 20)
    assert (stretched[:, 0, 0] == 10).all()
    assert (stretched[:, 10, 0] == 200).all()


def test_no_margin_or_crop_leaves_the_picture() -> None:
    for height, width, size, fit in itertools.product(
        (1, 7, 90, 4000), (1, 13, 90, 3000), ((28, 28), (9, 64)), ("pad", "crop")
    ):
        wanted = _wanted(*size, fit=fit)
        (left, top, right, bottom), inner, (down, across) = preprocessing.geometry(
            height, width, wanted
        )
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        assert 0 <= down <= down + inner[0] <= size[0]
        assert 0 <= across <= across + inner[1] <= size[1]


def test_the_polarity_that_is_recorded_decides(digit: PIL.Image.Image) -> None:
    assert "inverted" in _prepared(digit, _wanted(polarity="dark-on-light")).steps
    assert _prepared(digit, _wanted(polarity="light-on-dark")).steps == ()
    assert _prepared(digit, _wanted(polarity="keep")).steps == ()


def test_a_plain_background_is_recognised(digits: Dataset) -> None:
    images = digits.train.images
    assert preprocessing.detect_background(images) == ("light-on-dark", True)
    assert preprocessing.detect_background(255 - images) == ("dark-on-light", True)
    # More images than are examined, whose order repeats.
    alternating = np.tile(np.array([0, 255]), 6_000)[:, None, None, None] * np.ones((1, 8, 8, 1))
    assert preprocessing.detect_background(alternating.astype(np.uint8)) == ("keep", False)
    shirts = np.zeros((50, 28, 28, 1), np.uint8)
    shirts[:, 1:-1, 4:-4] = 200
    assert preprocessing.detect_background(shirts) == ("light-on-dark", False)
    photographs = np.random.default_rng(0).integers(0, 256, (50, 28, 28, 1)).astype(np.uint8)
    assert preprocessing.detect_background(photographs) == ("keep", False)
    assert preprocessing.detect_background(np.zeros((9, 28, 28, 3), np.uint8)) == ("keep", False)


def test_choices_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(InputError, match="unknown fit 'padd'; did you mean 'pad'"):
        _wanted(fit="padd")
    with pytest.raises(InputError, match="received 3 channels; give --channels 1, or --polarity"):
        _wanted(channels=3, polarity="light-on-dark")
    with pytest.raises(InputError, match="--ink on needs --polarity"):
        _wanted(ink=True)
    record = _wanted(fit="crop", polarity="light-on-dark", ink=True).record()
    assert preprocessing.recorded({"preprocessing": record}).record() == record
    for other in ({}, {"preprocessing": {"height": 1}}, {"preprocessing": record | {"x": 1}}):
        with pytest.raises(InputError, match="does not record how pictures are prepared"):
            preprocessing.recorded(other)


def _header(width: int, height: int) -> bytes:
    """Return a PNG file whose header claims this size."""
    content = bytearray(_saved(PIL.Image.new("L", (1, 1))))
    content[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    checksum = zlib.crc32(bytes(content[12:29]))
    content[29:33] = checksum.to_bytes(4, "big")
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"GIF89a, or so it says", "not a picture that can be read"),
        (b"", "is empty"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 40, "is HEIC, which is not supported; convert it"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is EPS, which is not supported"),
        (_saved(PIL.Image.fromarray(PIXELS))[:-900], "is damaged"),
        (_header(100_000, 100_000), "is too large"),
        (_header(20_000, 8_000), "is too large: 20,000x8,000 pixels"),
        (_saved(PIL.Image.new("F", (9, 9)), "TIFF"), "has the unsupported pixel format F"),
        (
            _saved(PIL.Image.fromarray(np.full((9, 9), 200, np.int32)), "TIFF"),
            "has 32-bit or signed pixels",
        ),
        (_grey_tiff(bits=12), "has 12-bit pixels; save it as a PNG file"),
        (_grey_tiff(sample_format=2), "has 32-bit or signed pixels"),
        (_grey_tiff(photometric=0), "has 16-bit pixels of which 0 is white; save it as a PNG file"),
    ],
)
def test_what_is_no_picture_is_named(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=reason) as caught:
        preprocessing.prepare(preprocessing.read_picture(path), _wanted())
    assert "\n" not in str(caught.value)


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.png does not exist"):
        preprocessing.read_picture(tmp_path / "a.png")
    with pytest.raises(InputError, match="is a folder, not a picture"):
        preprocessing.read_picture(tmp_path)
    os.mkfifo(tmp_path / "b.png")
    with pytest.raises(InputError, match=r"b\.png is not a regular file"):
        preprocessing.read_picture(tmp_path / "b.png")


def test_ink_is_found_in_pictures_of_other_sizes(digit: PIL.Image.Image) -> None:
    page = np.full((200, 300), 230, np.uint8)
    page[40:152, 60:172] -= (np.asarray(digit.resize((112, 112))) * 0.8).astype(np.uint8)
    wanted = _wanted(polarity="light-on-dark", ink=True)
    (found,) = preprocessing.prepare_each(PIL.Image.fromarray(page), wanted)
    assert found.image.shape == (28, 28, 1)
    assert found.image.max() == 255
    assert np.abs(found.image[..., 0].astype(int) - np.asarray(digit)).mean() < 20
    dark = _wanted(polarity="dark-on-light", ink=True)
    np.testing.assert_array_equal(
        preprocessing.prepare(PIL.Image.fromarray(page), dark).image, 255 - found.image
    )
    # What is left out is said: an object that the edge cuts off, and small ones.
    page[100:, 250:262] = page[20:35, 20:35] = page[20:35, 200:215] = 40
    (other,) = preprocessing.prepare_each(PIL.Image.fromarray(page), wanted)
    assert other.steps == (*found.steps, "1 object at the edge left out", "2 small marks ignored")
    assert (found.cut_off, other.cut_off) == (0, 1)
    np.testing.assert_array_equal(other.image, found.image)
    # A picture of the network's input size is not treated as a photograph.
    assert preprocessing.prepare(digit, wanted).steps == ()
    # A picture without ink is not classified, but with a label it still gives an image.
    blank = PIL.Image.new("L", (200, 300), 230)
    assert preprocessing.prepare_each(blank, wanted) == []
    assert preprocessing.prepare(blank, wanted).box == (0, 0, 200, 300)
