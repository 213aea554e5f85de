"""Any picture as a network's image, and in words what was done to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from etils import epy

from zoo.errors import InputError

with epy.lazy_imports():
    from PIL import Image, ImageOps


def fit(path: Path, shape: tuple[int, int, int], border: float) -> tuple[np.ndarray, list[str]]:
    """Return a picture as the network's training images look.

    It is turned upright, made grey or colour, inverted where its paper is light and that of the
    training images dark (or the reverse; grey networks only), and resized as a whole, with a margin
    of its own paper where its proportions are others.

    Args:
        path: a picture that Pillow reads.
        shape: height, width and channels of the network's images.
        border: mean pixel along the edges of the training images, 0..255.

    Returns:
        uint8 of ``shape``, and a phrase for each thing that was done.

    Raises:
        InputError: the file is no picture that can be read.
    """
    height, width, channels = shape
    try:
        with Image.open(path) as file:
            picture = ImageOps.exif_transpose(file)
            picture.load()
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} is not a picture that can be read") from error
    done = []
    if picture.has_transparency_data:
        paper = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(paper, picture.convert("RGBA"))
        done.append("laid on white")
    mode = "L" if channels == 1 else "RGB"
    if picture.mode != mode:
        done.append("made grey" if mode == "L" else "made colour")
        # Sixteen bits would be cut to eight, not scaled.
        if picture.mode.startswith("I"):
            picture = Image.fromarray((np.asarray(picture, np.float64) / 257).astype(np.uint8))
        picture = picture.convert(mode)
    paper_pixel = _paper(np.asarray(picture))
    if mode == "L" and (paper_pixel > 127) != (border > 127):
        picture = ImageOps.invert(picture)
        paper_pixel = 255 - paper_pixel
        done.append("inverted")
    if picture.size != (width, height):
        done.append(f"resized from {picture.height}x{picture.width} to {height}x{width}")
        colour = paper_pixel if mode == "L" else (paper_pixel,) * 3
        picture = ImageOps.pad(picture, (width, height), Image.Resampling.BOX, colour)
    return np.asarray(picture).reshape(shape), done


def _paper(pixels: np.ndarray) -> int:
    """Return the median pixel along the edges."""
    edges = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
    return int(np.median(np.concatenate([edge.ravel() for edge in edges])))
