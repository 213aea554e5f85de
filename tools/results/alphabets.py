"""Draw pictures of letters in many fonts, as a user would photograph them: dark on white paper.

The fonts are those that matplotlib brings.
"""

from __future__ import annotations

import string
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

ALPHABETS = {
    "capital letters": string.ascii_uppercase,
    "small letters": string.ascii_lowercase,
    "Greek letters": "αβγδεζηθικλμνξοπρστυφχψω",
}
_FONTS = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSerif",
    "DejaVuSerif-Bold", "DejaVuSerif-Italic", "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic",
)  # fmt: skip
_SIDE = 64  # pixels


def draw(letter: str, random: np.random.Generator) -> Image.Image:
    """Draw a letter in a random font, size, place, angle, slant and width of the pen."""
    name = _FONTS[random.integers(len(_FONTS))]
    path = Path(mpl.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"
    font = ImageFont.truetype(str(path), int(random.integers(26, 40)))
    paper = Image.new("L", (_SIDE, _SIDE), 255)
    middle = tuple(_SIDE / 2 + random.uniform(-6, 6, 2))
    pen = ImageDraw.Draw(paper)
    width = int(random.integers(0, 2))
    pen.text(middle, letter, fill=0, font=font, anchor="mm", stroke_width=width)
    slant, stretch = random.uniform(-0.3, 0.3), random.uniform(0.75, 1.33)
    # Output pixel (x, y) takes the input pixel (ax + by + c, dx + ey + f).
    half = _SIDE / 2
    warp = (stretch, slant, half * (1 - stretch - slant), 0, 1, 0)
    smooth = {"resample": Image.Resampling.BILINEAR, "fillcolor": 255}
    paper = paper.transform(paper.size, Image.Transform.AFFINE, warp, **smooth)
    paper = paper.rotate(random.uniform(-20, 20), **smooth)
    return paper.filter(ImageFilter.GaussianBlur(random.uniform(0.3, 1.2)))
