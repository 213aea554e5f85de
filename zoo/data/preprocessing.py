"""Convert picture files to network inputs: one definition for training, prediction and serving.

The steps, in this order: decode, turn upright, fill transparent pixels with a background, convert
to grey or color, invert, fit to the network's size. With ``ink``, the search for handwriting
(``zoo.data.ink``) replaces the last two. Runs and bundles record which steps apply
(``Preprocessing``); ``export.convert.graph_preprocessing`` repeats them in a TensorFlow graph,
except the search for ink.
"""

from __future__ import annotations

import dataclasses
import io
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from etils import epy

from zoo.data import ink, paging
from zoo.errors import InputError, unknown

with epy.lazy_imports():
    import PIL
    from PIL import ExifTags, Image

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff",
)  # fmt: skip
"""File extensions of pictures, in lower case."""

MOST_PIXELS = 1 << 27
"""Largest number of pixels to decode: admits 108-megapixel phones, but no decompression bombs."""

_MOST_BYTES = 1 << 29

VERSION = 1
"""Changes with the pixels that this module and ``zoo.data.ink`` make from the same picture."""

FITS = ("pad", "crop", "stretch")
BACKGROUNDS = {"white": 255, "black": 0}
POLARITIES = ("keep", "light-on-dark", "dark-on-light")

# Other decoders of Pillow start external programs (EPS) or have no use here.
DECODERS = ("PNG", "JPEG", "BMP", "DIB", "GIF", "WEBP", "TIFF")

# Not JPEG: the second picture in such a file is a preview of the first.
_DECODERS_OF_FRAMES = ("PNG", "GIF", "WEBP", "TIFF")

_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262  # tags of a TIFF file; the latter is 0 if 0 is white
_TURNS = {
    2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE",
    6: "ROTATE_270", 7: "TRANSVERSE", 8: "ROTATE_90",
}  # fmt: skip
"""How to turn a picture with each EXIF orientation."""

# Common unsupported file types, with an offset and the bytes found there.
_UNSUPPORTED = {
    "HEIC": (4, (b"ftyphei", b"ftyphev", b"ftypmif1", b"ftypmsf1")),
    "AVIF": (4, (b"ftypavi",)),
    "PDF": (0, (b"%PDF",)),
    "EPS": (0, (b"%!PS", b"\xc5\xd0\xd3\xc6")),
    "SVG": (0, (b"<svg", b"<?xml")),
    "JPEG XL": (0, (b"\xff\x0a", b"\0\0\0\x0cJXL ")),
    "Photoshop": (0, (b"8BPS",)),
}

# Limits of a network's input, checked before memory is allocated for it.
_MOST_SIDE = 4_096
_MOST_CHANNELS = 64

# A background is plain if this share of the edge pixels is this close to black or to white.
_PLAIN_DISTANCE = 25
_PLAIN_SHARE = 0.95

# Handwriting covers at most this share of an image; a shoe or a shirt on black covers more.
_MOST_INK = 0.3

# Images whose background is examined.
_MOST_EXAMINED = 1_000


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """The preprocessing of pictures for one network.

    Attributes:
        height: height of the network's images in pixels.
        width: width of the network's images in pixels.
        channels: 1 for grey, 3 for color.
        fit: ``pad`` keeps the proportions and the whole picture, and fills the margins with the
            median color of its edges; ``crop`` keeps the proportions and the middle; ``stretch``
            keeps the whole picture, but not its proportions.
        background: what transparent pixels are filled with, ``white`` or ``black``.
        polarity: ``light-on-dark`` or ``dark-on-light`` inverts a grey picture whose edges indicate
            the opposite; ``keep`` never inverts.
        ink: whether a picture whose size is not the network's is a photograph of handwriting, in
            which ``zoo.data.ink`` finds the character; requires one channel and a polarity.
    """

    height: int
    width: int
    channels: int
    fit: str = "pad"
    background: str = "white"
    polarity: str = "keep"
    ink: bool = False

    def __post_init__(self) -> None:
        """Reject unknown or incompatible values.

        Raises:
            InputError: a value is invalid; the message names the allowed ones.
        """
        for name, allowed in (
            ("fit", FITS),
            ("background", BACKGROUNDS),
            ("polarity", POLARITIES),
        ):
            if getattr(self, name) not in allowed:
                raise unknown(name, str(getattr(self, name)), allowed)
        if min(self.shape) < 1 or max(self.size) > _MOST_SIDE or self.channels > _MOST_CHANNELS:
            raise InputError(
                f"images must have sides of 1 to {_MOST_SIDE:,} pixels and 1 to {_MOST_CHANNELS} "
                f"channels, received {self.height}x{self.width}x{self.channels}"
            )
        if self.polarity != "keep" and self.channels != 1:
            raise InputError(
                f"polarity {self.polarity} needs grey pictures, received {self.channels} channels; "
                "give --channels 1, or --polarity keep without --ink on"
            )
        if self.ink and self.polarity == "keep":
            raise InputError("--ink on needs --polarity light-on-dark or dark-on-light")

    @property
    def size(self) -> tuple[int, int]:
        """``(height, width)`` of the network's images."""
        return self.height, self.width

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(height, width, channels)`` of the network's images."""
        return self.height, self.width, self.channels

    def record(self) -> dict[str, Any]:
        """Return the attributes as JSON values; ``Preprocessing(**record)`` restores them."""
        return dataclasses.asdict(self)

    def choices(self) -> dict[str, Any]:
        """Return the arguments of ``data.load`` that prepare pictures like this."""
        return {
            "image_size": self.size,
            "channels": self.channels,
            "fit": self.fit,
            "background": self.background,
            "polarity": self.polarity,
            "ink": "on" if self.ink else "off",
        }


def recorded(facts: dict[str, Any]) -> Preprocessing:
    """Return the preprocessing recorded in the facts of a dataset.

    Raises:
        InputError: none is recorded, as in earlier versions.
    """
    try:
        return Preprocessing(**facts["preprocessing"])
    except (KeyError, TypeError) as error:
        raise InputError(
            "the run does not record how pictures are prepared: an earlier version made it; "
            "train it again"
        ) from error


@dataclass(frozen=True)
class Prepared:
    """A picture prepared as network input.

    Attributes:
        image: uint8 [height, width, channels].
        steps: operations applied to the picture, one phrase each.
        box: part of the picture that was used: left, top, right, bottom in pixels.
        cut_off: number of objects that were left out because the edge of the picture cuts them off.
    """

    image: np.ndarray
    steps: tuple[str, ...]
    box: tuple[int, int, int, int]
    cut_off: int = 0


def version() -> str:
    """Return a name of all code that makes pixels, for caches of the images."""
    return f"{VERSION}-{PIL.__version__}"


def detect_background(images: np.ndarray) -> tuple[str, bool]:
    """Return the polarity of a dataset's images, and whether they look like handwriting.

    Args:
        images: uint8 [N, H, W, C].

    Returns:
        ``light-on-dark`` or ``dark-on-light`` if nearly all edge pixels of grey images are near
        black or near white, otherwise ``keep``; and whether the background is plain and only a
        small share of the pixels is ink. Of many images, a fixed random sample decides.
    """
    if images.shape[-1] != 1:
        return "keep", False
    # At random, because the order of the classes may repeat.
    count = min(len(images), _MOST_EXAMINED)
    chosen = np.random.default_rng(0).choice(len(images), count, replace=False)
    some = paging.take(images, np.sort(chosen))
    edges = np.concatenate([side.ravel() for side in _edges(some.swapaxes(0, 1).swapaxes(1, 2))])
    if np.mean(edges <= _PLAIN_DISTANCE) >= _PLAIN_SHARE:
        return "light-on-dark", bool(np.mean(some > 127) <= _MOST_INK)
    if np.mean(edges >= 255 - _PLAIN_DISTANCE) >= _PLAIN_SHARE:
        return "dark-on-light", bool(np.mean(some <= 127) <= _MOST_INK)
    return "keep", False


def read_picture(path: Path) -> Image.Image:
    """Decode the first frame of a picture file, and turn it upright.

    Raises:
        InputError: the file does not exist, or it is a folder, of an unsupported type, damaged or
            too large; the message names the file and the reason.
    """
    content = read_content(path)
    try:
        return decode(content)
    except InputError as error:
        raise InputError(f"{shown(path)} {error}") from error


def read_content(path: Path) -> bytes:
    """Return the bytes of a picture file.

    Raises:
        InputError: the file does not exist, is not a regular file, cannot be read, or is too large;
            the message names the file and the reason.
    """
    if path.is_dir():
        raise InputError(f"{shown(path)} is a folder, not a picture")
    try:
        if not path.is_file():
            reason = "is not a regular file" if path.exists() else "does not exist"
            raise InputError(f"{shown(path)} {reason}")
        if (size := path.stat().st_size) > _MOST_BYTES:
            raise InputError(
                f"{shown(path)} is too large: {size:,} bytes, at most {_MOST_BYTES:,} are allowed"
            )
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{shown(path)} cannot be read: {reason}") from error


def frame_count(path: Path) -> int:
    """Return the number of frames in a picture file, or 1 if those after the first are damaged."""
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            Image.open(path, formats=_DECODERS_OF_FRAMES) as file,
        ):
            return getattr(file, "n_frames", 1)
    except Exception:  # each decoder raises its own error types
        return 1


def decode(content: bytes) -> Image.Image:
    """Decode the first frame of a picture file from its bytes, and turn it upright.

    Raises:
        InputError: the type is unsupported, or the file is damaged or too large; the message does
            not name the file.
    """
    # MOST_PIXELS is checked before decoding; Pillow's own limit would print a warning first.
    Image.MAX_IMAGE_PIXELS = None
    try:
        with Image.open(io.BytesIO(content), formats=DECODERS) as file:
            if file.width * file.height > MOST_PIXELS:
                raise InputError(
                    f"is too large: {file.width:,}x{file.height:,} pixels, "
                    f"at most {MOST_PIXELS:,} are allowed"
                )
            file.load()
            _check_depth(file)
            return _upright(file)
    except Image.UnidentifiedImageError as error:
        raise InputError(_why_unidentified(content)) from error
    except (InputError, MemoryError):
        raise
    except Exception as error:  # each decoder raises its own error types
        raise InputError(f"is damaged: {error}") from error


def _check_depth(picture: Image.Image) -> None:
    """Check that grey values of more than 8 bits are those of 16 bits, from black to white.

    Raises:
        InputError: they are not.
    """
    if not picture.mode.startswith("I"):
        return
    if picture.mode == "I":
        raise InputError("has 32-bit or signed pixels; save it with 8 or 16 bits per channel")
    tags = getattr(picture, "tag_v2", {})  # of a TIFF file
    (bits,), zero_is_white = tags.get(_BITS_PER_SAMPLE, (16,)), tags.get(_PHOTOMETRIC, 1) == 0
    if zero_is_white or bits != 16:
        kind = "16-bit pixels of which 0 is white" if zero_is_white else f"{bits}-bit pixels"
        raise InputError(f"has {kind}; save it as a PNG file with 8 or 16 bits")


def _upright(picture: Image.Image) -> Image.Image:
    """Return a picture turned as its EXIF orientation says; a TIFF file is turned when decoded."""
    if picture.format == "WEBP":  # browsers do not turn it
        return picture
    exif = Image.Exif()
    try:
        # getexif() would also read the orientation from XMP, which browsers and the graph do not.
        exif.load(picture.info.get("exif", b""))
        turn = _TURNS.get(exif.get(ExifTags.Base.Orientation))
    except Exception:  # damaged EXIF data say nothing, as for browsers and the graph
        turn = None
    return picture if turn is None else picture.transpose(Image.Transpose[turn])


def prepare(picture: Image.Image, wanted: Preprocessing) -> Prepared:
    """Return a decoded picture as one network input.

    With ``wanted.ink``, a picture without exactly one character is fitted as a whole, because every
    labelled picture of a dataset must yield an image.

    Raises:
        InputError: the pixel format is unsupported; the message does not name the file.
    """
    found = prepare_each(picture, wanted)
    return found[0] if len(found) == 1 else _whole(*_channels(picture, wanted), wanted)


def prepare_each(picture: Image.Image, wanted: Preprocessing) -> list[Prepared]:
    """Return each object in a decoded picture as a network input, left to right.

    Without ``wanted.ink``, or if the picture has the network's size, the only object is the whole
    picture. The steps report objects that are left out: those that the edge of the picture cuts
    off, if there are others, and small ones.

    Raises:
        InputError: the pixel format is unsupported; the message does not name the file.
    """
    pixels, steps = _channels(picture, wanted)
    if not wanted.ink or pixels.shape[:2] == wanted.size:
        return [_whole(pixels, steps, wanted)]
    found = ink.find(pixels[..., 0], wanted.size)
    return [_as_training_ink(each, found, steps, wanted) for each in found.things]


def _whole(pixels: np.ndarray, steps: Sequence[str], wanted: Preprocessing) -> Prepared:
    """Return the whole picture as a network input."""
    pixels, inverted = _polarity(pixels, wanted.polarity)
    image, box = fit(pixels, wanted)
    done = [*steps, *inverted]
    if pixels.shape != image.shape:
        words = {"pad": "padded and ", "crop": "cropped and ", "stretch": "stretched and "}
        how = words[wanted.fit] if _proportions_differ(pixels.shape, wanted) else ""
        done.append(f"{how}resized from {_size(pixels.shape)} to {_size(image.shape)}")
    return Prepared(image, tuple(done), box)


def fit(pixels: np.ndarray, wanted: Preprocessing) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """Fit pixels to the network's size.

    Args:
        pixels: uint8 [h, w, C].
        wanted: size and fit of the result.

    Returns:
        uint8 [height, width, C], and the part of ``pixels`` that it shows: left, top, right,
        bottom.
    """
    height, width = pixels.shape[:2]
    box, (inner_height, inner_width), (top, left) = geometry(height, width, wanted)
    if wanted.size == (height, width):
        return pixels, box
    cut = pixels[box[1] : box[3], box[0] : box[2]]
    inner = _resize(cut, (inner_height, inner_width))
    if wanted.size == (inner_height, inner_width):
        return inner, box
    image = np.empty((*wanted.size, pixels.shape[2]), np.uint8)
    image[:] = edge_colour(pixels)
    image[top : top + inner_height, left : left + inner_width] = inner
    return image, box


def with_channels(pixels: np.ndarray, wanted: Preprocessing) -> np.ndarray:
    """Convert pixels to the network's number of channels.

    Args:
        pixels: uint8 [..., W, C] with 1, 3 or 4 channels.
        wanted: channels of the result, and background of transparent pixels.

    Returns:
        uint8 [..., W, channels].

    Raises:
        InputError: there is no conversion between these numbers of channels.
    """
    *_, width, channels = pixels.shape
    if channels == wanted.channels:
        return pixels
    if channels not in (1, 3, 4) or wanted.channels not in (1, 3):
        raise InputError(
            f"images of {channels} channels cannot be converted to {wanted.channels} channels"
        )
    rows = pixels.reshape(-1, width, channels)
    converted, _ = _channels(Image.fromarray(rows[..., 0] if channels == 1 else rows), wanted)
    return converted.reshape(*pixels.shape[:-1], wanted.channels)


def with_polarity(images: np.ndarray, polarity: str) -> np.ndarray:
    """Return images, each inverted if its background does not match.

    Args:
        images: uint8 [N, H, W, C].
        polarity: one of ``POLARITIES``.

    Returns:
        uint8 [N, H, W, C].
    """
    return np.stack([_polarity(image, polarity)[0] for image in images])


def geometry(
    height: int, width: int, wanted: Preprocessing
) -> tuple[tuple[int, int, int, int], tuple[int, int], tuple[int, int]]:
    """Return which part of a picture is used, its new size, and its position in the image.

    Args:
        height: height of the picture.
        width: width of the picture.
        wanted: size and fit of the result.

    Returns:
        The part that is used (left, top, right, bottom); the height and width to which it is
        resized; and its top and left in the network's image.
    """
    whole, target = (0, 0, width, height), wanted.size
    wide = width * wanted.height >= height * wanted.width
    if wanted.fit == "pad":
        inner = (
            (max(1, _rounded(height * wanted.width, width)), wanted.width)
            if wide
            else (wanted.height, max(1, _rounded(width * wanted.height, height)))
        )
        return whole, inner, ((target[0] - inner[0]) // 2, (target[1] - inner[1]) // 2)
    if wanted.fit == "crop":
        if wide:
            kept = max(1, _rounded(height * wanted.width, wanted.height))
            left = (width - kept) // 2
            return (left, 0, left + kept, height), target, (0, 0)
        kept = max(1, _rounded(width * wanted.height, wanted.width))
        top = (height - kept) // 2
        return (0, top, width, top + kept), target, (0, 0)
    return whole, target, (0, 0)


def edge_colour(pixels: np.ndarray) -> np.ndarray:
    """Return the lower median of the edge pixels in each channel, uint8 [C].

    Args:
        pixels: uint8 [h, w, C].
    """
    ordered = np.sort(np.concatenate(_edges(pixels)), axis=0)
    return ordered[(len(ordered) - 1) // 2]


def shown(path: str | Path) -> str:
    """Return a path for a message, with bytes that are not UTF-8 as escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _edges(pixels: np.ndarray) -> Sequence[np.ndarray]:
    return pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]


def _rounded(dividend: int, divisor: int) -> int:
    """Return the quotient rounded to an integer, with halves rounded up."""
    return (2 * dividend + divisor) // (2 * divisor)


def _size(shape: Sequence[int]) -> str:
    return f"{shape[0]}x{shape[1]}"


def _proportions_differ(shape: Sequence[int], wanted: Preprocessing) -> bool:
    return shape[0] * wanted.width != shape[1] * wanted.height


def _why_unidentified(content: bytes) -> str:
    for name, (offset, marks) in _UNSUPPORTED.items():
        if any(content[offset:].startswith(mark) for mark in marks):
            return (
                f"is {name}, which is not supported; convert it to one of "
                f"{', '.join(DECODERS)} first"
            )
    if not content:
        return "is empty"
    return f"is not a picture that can be read: it is not one of {', '.join(DECODERS)}, or damaged"


def _channels(picture: Image.Image, wanted: Preprocessing) -> tuple[np.ndarray, list[str]]:
    """Return a picture's pixels with the network's channels, and the steps applied."""
    if wanted.channels not in (1, 3):
        raise InputError(f"cannot be converted to {wanted.channels} channels, only to 1 or 3")
    steps = (
        [f"transparency filled with {wanted.background}"] if picture.has_transparency_data else []
    )
    mode = "L" if wanted.channels == 1 else "RGB"
    colours = in_colour(picture, wanted.background)
    if picture.mode != mode:
        steps.append("converted to grey" if mode == "L" else "converted to color")
    # Grey is always computed from RGB, as in the exported graph.
    return np.asarray(colours.convert(mode)).reshape(picture.height, picture.width, -1), steps


def in_colour(picture: Image.Image, background: str) -> Image.Image:
    """Convert a picture to RGB, with transparent pixels filled and 16 bits reduced to the upper 8.

    Raises:
        InputError: the pixel format is unsupported; the message does not name the file.
    """
    if picture.mode.startswith("I"):
        values = np.asarray(picture)
        grey = (values >> 8).astype(np.uint8)
        if (transparent := picture.info.get("transparency")) is not None:
            grey[values == transparent] = BACKGROUNDS[background]
        picture = Image.fromarray(grey)
    try:
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            paper = Image.new("RGB", picture.size, background)
            paper.paste(picture, mask=picture)
            return paper
        if picture.mode != "F":
            return picture.convert("RGB")
    except ValueError:
        pass  # Pillow cannot convert such pixels
    raise InputError(f"has the unsupported pixel format {picture.mode}; save it as 8-bit RGB")


def _polarity(pixels: np.ndarray, polarity: str) -> tuple[np.ndarray, list[str]]:
    """Return grey pixels inverted if their background does not match ``polarity``, and the step."""
    if polarity == "keep":
        return pixels, []
    light = edge_colour(pixels)[0] > 127
    if light == (polarity == "dark-on-light"):
        return pixels, []
    return 255 - pixels, ["inverted"]


def _as_training_ink(
    thing: ink.Ink, found: ink.Found, steps: Sequence[str], wanted: Preprocessing
) -> Prepared:
    """Return one of the things found in a picture as a network input."""
    image = thing.image if wanted.polarity == "light-on-dark" else 255 - thing.image
    left, top, right, bottom = thing.box
    done = [
        *steps,
        "background removed",
        f"ink of {right - left}x{bottom - top} pixels found, scaled and centred as in MNIST",
    ]
    if found.cut_off:
        done.append(f"{_counted(found.cut_off, 'object')} at the edge left out")
    if found.small:
        done.append(f"{_counted(found.small, 'small mark')} ignored")
    return Prepared(image[..., None], tuple(done), thing.box, found.cut_off)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _resize(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize pixels with a triangle filter that averages when shrinking.

    Floating point gives the same values as TensorFlow's ``resize(antialias=True)``, except for ties
    in rounding.
    """
    height, width = size
    planes = [
        Image.fromarray(plane.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
        for plane in np.moveaxis(pixels, -1, 0)
    ]
    return np.rint(np.stack([np.asarray(plane) for plane in planes], axis=-1)).astype(np.uint8)
