"""Write folders of pictures like those of users."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw

from zoo.data.splits import Split

Draw = Callable[[int, np.random.Generator], PIL.Image.Image]

CLASSES = ("flat", "tall")


def _wide(label: int, rng: np.random.Generator) -> PIL.Image.Image:
    """Draw a flat or tall bar anywhere in a 16:9 photograph."""
    picture = PIL.Image.new("RGB", (160, 90), (225, 220, 210))
    half = (24, 9) if label == 0 else (9, 24)
    x, y = rng.integers(30, 130), rng.integers(28, 62)
    box = (x - half[0], y - half[1], x + half[0], y + half[1])
    PIL.ImageDraw.Draw(picture).rectangle(box, fill=(40, 60, int(rng.integers(0, 90))))
    return picture


def _cutout(label: int, rng: np.random.Generator) -> PIL.Image.Image:
    """Draw a white bar on a transparent background whose colour is white."""
    shape = PIL.Image.new("L", (60, 60), 0)
    half = (20, 8) if label == 0 else (8, 20)
    x, y = rng.integers(24, 36, 2)
    box = (x - half[0], y - half[1], x + half[0], y + half[1])
    PIL.ImageDraw.Draw(shape).rectangle(box, fill=255)
    picture = PIL.Image.new("RGBA", shape.size, (255, 255, 255, 0))
    picture.putalpha(shape)
    return picture


def _grey(label: int, rng: np.random.Generator) -> PIL.Image.Image:
    """Draw grey stripes of any brightness; some pictures have light edges, others dark ones."""
    at = np.mgrid[0:40, 0:40][label] / 40
    values = rng.uniform(60, 195) + 50 * np.sin(2 * np.pi * (3 * at + rng.uniform()))
    noisy = values + rng.normal(0, 12, values.shape)
    return PIL.Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def _turned(label: int, rng: np.random.Generator) -> PIL.Image.Image:
    """Draw a wide photograph; half of them are stored rotated with an EXIF tag, as by phones."""
    picture = _wide(label, rng)
    if rng.integers(2):
        picture = picture.rotate(90, expand=True)
        picture.getexif()[0x112] = 6
    return picture


FOLDERS: dict[str, tuple[Draw, str]] = {
    "wide": (_wide, "jpg"),
    "cutout": (_cutout, "png"),
    "grey": (_grey, "png"),
    "turned": (_turned, "jpg"),
}


def fill(folder: Path, draw: Draw, ending: str, count: int, seed: int) -> None:
    """Write ``count`` pictures of each class into subfolders."""
    rng = np.random.default_rng(seed)
    for label, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            picture = draw(label, rng)
            exif = picture.getexif()
            picture.save(folder / name / f"{number:03d}.{ending}", exif=exif)


def write(root: Path, kind: str, train: int = 60, test: int = 20) -> Path:
    """Write the folder ``kind`` of ``FOLDERS`` and return ``root``."""
    draw, ending = FOLDERS[kind]
    fill(root / "train", draw, ending, train, 1)
    fill(root / "test", draw, ending, test, 2)
    return root


def write_digits(folder: Path, digits: Split, count: int = 200) -> None:
    """Write the first digits of a split as dark on light pictures, a folder for each class."""
    for number in range(count):
        parent = folder / str(digits.labels[number])
        parent.mkdir(parents=True, exist_ok=True)
        picture = PIL.Image.fromarray(255 - digits.images[number, ..., 0])
        picture.resize((40, 40)).save(parent / f"{number}.png")
