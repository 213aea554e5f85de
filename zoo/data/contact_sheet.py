"""Draw pictures next to the images that the network received, with Pillow only to start fast."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from etils import epy

from zoo.data import preprocessing
from zoo.data.preprocessing import Prepared, shown
from zoo.errors import InputError
from zoo.util import atomic

with epy.lazy_imports():
    from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

_SIDE = 280  # side of each drawing in pixels: ten times that of MNIST
_GAP = 20
_TEXT = 46  # height of the line of text below a drawing, with margins
_FONT = 15
_MOST_ROWS = 500  # a sheet of 173,000 pixels height, which takes 0.3 GB of memory
_SOFTWARE = "zoo.predict --show"  # marks the files that may be replaced
_FRAME = (0, 114, 178)  # distinct from ink for color-blind users too


def check(file: Path) -> None:
    """Check that a file can be written, before the pictures are classified.

    Raises:
        InputError: the extension is not ``.png``, the folder does not exist or is not writable, or
            the file exists and is not one that ``write`` wrote.
    """
    if file.suffix.lower() != ".png":
        raise InputError(f"--show needs a file name that ends in .png, received {shown(file)}")
    if not file.parent.is_dir():
        raise InputError(f"--show cannot write {shown(file)}: {file.parent} is not a folder")
    if not atomic.is_writable(file.parent):
        raise InputError(
            f"--show cannot write {shown(file)}: {file.parent} is not a writable folder; "
            "give a file in another folder"
        )
    if file.exists() and not _is_sheet(file):
        raise InputError(f"--show would replace {shown(file)}; give the name of a new file")


def check_count(count: int) -> None:
    """Check the number of rows of a sheet, before the images are classified.

    Raises:
        InputError: there are too many.
    """
    if count > _MOST_ROWS:
        raise InputError(
            f"--show draws at most {_MOST_ROWS} images, received {count:,}; give fewer pictures, "
            "or leave out --show"
        )


def _is_sheet(file: Path) -> bool:
    Image.MAX_IMAGE_PIXELS = None  # nothing is decoded
    try:
        with Image.open(file, formats=["PNG"]) as picture:
            return picture.info.get("Software") == _SOFTWARE
    except Exception:  # it is no picture, or a damaged one
        return False


def write(file: Path, rows: Sequence[tuple[Path, Prepared | None, str]]) -> None:
    """Write a PNG file with one row for each classified image.

    Args:
        file: path that ends in ``.png``.
        rows: for each row, the picture file, the network's input (None if the picture was not
            classified), and the answer.
    """
    sheet = Image.new("RGB", (2 * _SIDE + 3 * _GAP, len(rows) * (_SIDE + _TEXT + _GAP)), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_FONT)
    for number, (path, prepared, answer) in enumerate(rows):
        top = _GAP + number * (_SIDE + _TEXT + _GAP)
        photo, scale = _shrunk(preprocessing.read_picture(path))
        left = _GAP + (_SIDE - photo.width) // 2
        down = top + (_SIDE - photo.height) // 2
        sheet.paste(photo, (left, down))
        if prepared:
            corners = np.array(prepared.box) * scale + [left - 3, down - 3, left + 2, down + 2]
            draw.rectangle(corners.round().tolist(), outline=_FRAME, width=2)
            seen = _image(prepared).resize((_SIDE, _SIDE), Image.Resampling.NEAREST)
            sheet.paste(seen, (_SIDE + 2 * _GAP, top))
        text = top + _SIDE + 6
        draw.text((_GAP, text), shown(path.name)[:40], "black", font)
        draw.text((_SIDE + 2 * _GAP, text), answer[:40], "black", font)
    marks = PngImagePlugin.PngInfo()
    marks.add_text("Software", _SOFTWARE)
    with atomic.staged(file) as stage:
        sheet.save(stage, "PNG", pnginfo=marks)


def _shrunk(picture: Image.Image) -> tuple[Image.Image, float]:
    """Return a picture resized to fit a drawing, and its scale."""
    scale = min(_SIDE / picture.width, _SIDE / picture.height)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    whole = preprocessing.in_colour(picture, "white")
    return whole.resize(size, Image.Resampling.BILINEAR), scale


def _image(prepared: Prepared) -> Image.Image:
    image = prepared.image
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
