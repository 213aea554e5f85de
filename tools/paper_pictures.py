"""Write pictures of digits on paper and boards, drawn from the MNIST files.

    python tools/paper_pictures.py OUT --mnist DIR --count 100
    python tools/paper_pictures.py OUT --mnist DIR --count 100 --split train --seed 7

DIR holds the four original MNIST files. The pictures are OUT/<variant>/<index>_<digit>.jpg, 400x400
pixels in color, the same number of each digit; the same arguments always give the same pictures.
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIDE = 400
PREFIXES = {"train": "train", "test": "t10k"}
PENS = {
    "pencil": (0.33, 0.33, 0.34),
    "black": (0.10, 0.10, 0.12),
    "blue": (0.12, 0.18, 0.50),
}
NOTES = ((0.95, 0.88, 0.45), (0.95, 0.62, 0.70), (0.62, 0.85, 0.60), (0.60, 0.80, 0.92))


@dataclass
class Scene:
    """A flat scene under a lamp.

    Attributes:
        surface: float [400, 400, 3], how much of each color a point reflects, 0..1.
        light: float [400, 400], how much light reaches a point, 0..1.
        random: the random generator of this picture.
    """

    surface: np.ndarray
    light: np.ndarray
    random: np.random.Generator

    def paint(self, coverage: np.ndarray, colour: tuple[float, ...] | np.ndarray) -> None:
        """Cover the surface with a color, where ``coverage``, float [400, 400], is above 0."""
        share = coverage[..., None]
        self.surface = self.surface * (1 - share) + np.asarray(colour) * share

    def photograph(self, noise: float = 4.0) -> Image.Image:
        """Return the picture; ``noise`` is the standard deviation of the sensor's noise, 0..255."""
        exposed = 255 * self.surface * self.light[..., None]
        exposed += self.random.normal(0, noise, (SIDE, SIDE, 1))
        return Image.fromarray(np.clip(exposed, 0, 255).astype(np.uint8))


def new_scene(random: np.random.Generator, colour: tuple[float, ...] = (0.93, 0.92, 0.89)) -> Scene:
    """Return a scene of one color whose light falls off to one side by up to a quarter."""
    angle = random.uniform(0, 2 * np.pi)
    light = 1 - random.uniform(0, 0.25) * (0.5 + distance_along(angle) / SIDE)
    return Scene(np.full((SIDE, SIDE, 3), colour), np.clip(light, 0, 1), random)


def distance_along(angle: float, centre: tuple[float, float] = (SIDE / 2, SIDE / 2)) -> np.ndarray:
    """Return how far each pixel is from ``centre`` (x, y) along a direction, float [400, 400]."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    return (x - centre[0]) * np.cos(angle) + (y - centre[1]) * np.sin(angle)


def place_digit(
    image: np.ndarray,
    random: np.random.Generator,
    sides: tuple[int, int] = (130, 300),
    pen: int = 0,
) -> np.ndarray:
    """Return how much ink covers each pixel, float [400, 400], 0..1.

    Args:
        image: uint8 [28, 28], the digit.
        random: chooses the size and the position.
        sides: smallest and largest side of the whole image on the page, in pixels.
        pen: odd size in pixels by which strokes are thickened (above 0) or thinned (below 0).
    """
    side = int(random.integers(*sides, endpoint=True))
    digit = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)
    if pen:
        digit = digit.filter(
            (ImageFilter.MaxFilter if pen > 0 else ImageFilter.MinFilter)(abs(pen))
        )
    page = Image.new("L", (SIDE, SIDE))
    margin = 20
    left, top = random.integers(margin, SIDE - margin - side, 2, endpoint=True)
    page.paste(digit, (int(left), int(top)))
    return np.asarray(page, float) / 255


def any_pen(random: np.random.Generator) -> tuple[float, ...]:
    """Return the color of a pen or a pencil."""
    return PENS[str(random.choice(list(PENS)))]


def draw_rules(scene: Scene, spacing: float, vertical: bool) -> None:
    """Draw parallel lines, nearly horizontal or (``vertical``) nearly vertical."""
    random = scene.random
    angle = np.deg2rad(random.uniform(-2, 2)) + (0 if vertical else np.pi / 2)
    position = distance_along(angle) + random.uniform(0, spacing)
    width = random.uniform(0.8, 2.2)
    nearest = np.abs((position + spacing / 2) % spacing - spacing / 2)
    scene.paint(np.clip(width / 2 + 0.5 - nearest, 0, 1), (0.60, 0.70, 0.82))


def lined_paper(image: np.ndarray, random: np.random.Generator) -> Image.Image:
    """Return a digit on lined paper."""
    scene = new_scene(random)
    draw_rules(scene, random.uniform(35, 70), vertical=False)
    scene.paint(place_digit(image, random), any_pen(random))
    return scene.photograph()


def squared_paper(image: np.ndarray, random: np.random.Generator) -> Image.Image:
    """Return a digit on squared paper."""
    scene = new_scene(random)
    spacing = random.uniform(18, 45)
    for vertical in (False, True):
        draw_rules(scene, spacing, vertical)
    scene.paint(place_digit(image, random), any_pen(random))
    return scene.photograph()


def cast_shadow(scene: Scene, shares: tuple[float, float]) -> None:
    """Darken one side of a straight edge; ``shares`` is the range of the share it covers."""
    random = scene.random
    position = distance_along(random.uniform(0, 2 * np.pi))
    edge = np.quantile(position, random.uniform(*shares))
    blur = random.uniform(1, 8)
    shade = np.clip((edge - position) / blur + 0.5, 0, 1)
    scene.light = scene.light * (1 - (1 - random.uniform(0.3, 0.6)) * shade)


def shadow_on_a_part(image: np.ndarray, random: np.random.Generator) -> Image.Image:
    """Return a digit on a page that a hard shadow covers in part."""
    scene = new_scene(random)
    scene.paint(place_digit(image, random), any_pen(random))
    cast_shadow(scene, (0.2, 0.6))
    return scene.photograph()


def shadow_on_most(image: np.ndarray, random: np.random.Generator) -> Image.Image:
    """Return a digit on a page that a hard shadow covers for the most part."""
    scene = new_scene(random)
    scene.paint(place_digit(image, random), any_pen(random))
    cast_shadow(scene, (0.75, 0.95))
    return scene.photograph()


def slanted_page(image: np.ndarray, random: np.random.Generator) -> Image.Image:
    """Return a digit on a rotated page; the desk is visible at the corners."""
    desks = ((0.25, 0.15, 0.09), (0.45, 0.30, 0.18), (0.08, 0.08, 0.09), (0.55, 0.55, 0.53))
    scene = new_scene(random, desks[random.integers(len(desks))])
    grain = np.sin(distance_along(random.uniform(0, np.pi)) / random.uniform(3, 9))
    scene.surface *= 1 + 0.1 * grain[..., None]
    angle = float(random.choice([-1, 1]) * random.uniform(3, 9))
    page = Image.new("L", (SIDE, SIDE))
    edge = random.integers(0, 12)
    ImageDraw.Draw(page).rectangle((edge, edge, SIDE - edge, SIDE - edge), fill=255)
    turned = page.rotate(angle, Image.Resampling.BICUBIC)
    scene.paint(np.asarray(turned, float) / 255, (0.93, 0.92, 0.89))
    ink = Image.fromarray((255 * place_digit(image, random, (130, 240))).astype(np.uint8))
    scene.paint(
        np.asarray(ink.rotate(angle, Image.Resampling.BICUBIC), float) / 255, any_pen(random)
    )
    return scene.photograph()


def felt_pen_on_a_note(image: np.ndarray, random: np.random.Generator) -> Image.Image:
    """Return a digit in thick felt pen that fills a colored note."""
    scene = new_scene(random, NOTES[random.integers(len(NOTES))])
    felts = ((0.08, 0.08, 0.09), (0.12, 0.15, 0.45), (0.55, 0.08, 0.10), (0.06, 0.30, 0.16))
    pen = int(random.choice([9, 13, 17]))
    ink = place_digit(image, random, (240, 350), pen)
    scene.paint(ink, felts[random.integers(len(felts))])
    return scene.photograph()


def chalk_on_a_board(image: np.ndarray, random: np.random.Generator) -> Image.Image:
    """Return a digit in white chalk on a badly wiped green or black board."""
    boards = ((0.10, 0.20, 0.15), (0.09, 0.09, 0.10))
    scene = new_scene(random, boards[random.integers(len(boards))])
    coarse = Image.fromarray(random.integers(0, 256, (6, 3), dtype=np.uint8))
    smear = coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    scene.paint(random.uniform(0.05, 0.2) * np.asarray(smear, float) / 255, (0.9, 0.9, 0.88))
    grain = np.clip(random.normal(0.85, 0.2, (SIDE, SIDE)), 0, 1)
    scene.paint(place_digit(image, random) * grain, (0.9, 0.9, 0.88))
    return scene.photograph()


def scan_with_a_dark_edge(image: np.ndarray, random: np.random.Generator) -> Image.Image:
    """Return a digit in an evenly lit scan with a dark band along one or two of its edges."""
    scene = new_scene(random, (0.97, 0.97, 0.97))
    scene.light = np.ones((SIDE, SIDE))
    for side in random.choice(4, random.integers(1, 3), replace=False):
        tilt = np.deg2rad(random.uniform(-1.5, 1.5))
        inward = distance_along(side * np.pi / 2 + tilt) + SIDE / 2
        scene.paint(np.clip(random.uniform(4, 18) - inward, 0, 1), (0.08, 0.08, 0.08))
    scene.paint(place_digit(image, random, (130, 260)), any_pen(random))
    return scene.photograph(noise=1.0)


def digit_with_a_smudge(image: np.ndarray, random: np.random.Generator) -> Image.Image:
    """Return a digit next to a dark speck and a pale smudge, both smaller than the digit."""
    scene = new_scene(random)
    ink = place_digit(image, random)
    pen = any_pen(random)
    scene.paint(ink, pen)
    rows, columns = np.nonzero(ink > 0.5)
    height = rows.max() - rows.min()
    for radius, strength in (
        (random.uniform(1.5, 6), 1.0),
        (height * random.uniform(0.1, 0.2), 0.2),
    ):
        # Outside the digit, at a distance of up to half of its height from one of its pixels.
        angle, at = random.uniform(0, 2 * np.pi), random.integers(len(rows))
        away = radius + height * random.uniform(0.1, 0.5)
        centre = (columns[at] + away * np.cos(angle), rows[at] + away * np.sin(angle))
        distance = np.hypot(distance_along(0, centre), distance_along(np.pi / 2, centre))
        soft = 1.0 if strength == 1 else radius / 2
        scene.paint(strength * np.clip((radius - distance) / soft + 0.5, 0, 1), pen)
    return scene.photograph()


VARIANTS: dict[str, Callable[[np.ndarray, np.random.Generator], Image.Image]] = {
    "lined-paper": lined_paper,
    "squared-paper": squared_paper,
    "shadow-part": shadow_on_a_part,
    "shadow-most": shadow_on_most,
    "slanted-page": slanted_page,
    "felt-note": felt_pen_on_a_note,
    "chalk-board": chalk_on_a_board,
    "scan-edge": scan_with_a_dark_edge,
    "smudge": digit_with_a_smudge,
}


def read_mnist(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the images, uint8 [N, 28, 28], and labels, uint8 [N], of ``train`` or ``test``."""

    def read(name: str, header: int) -> np.ndarray:
        packed = (folder / f"{PREFIXES[split]}-{name}-ubyte.gz").read_bytes()
        return np.frombuffer(gzip.decompress(packed), np.uint8, offset=header)

    return read("images-idx3", 16).reshape(-1, 28, 28), read("labels-idx1", 8)


def main() -> None:
    """Write the pictures of every variant."""
    parser = argparse.ArgumentParser(description="Write pictures of digits on paper and boards.")
    parser.add_argument(
        "out", type=Path, metavar="OUT", help="output folder, with a folder per variant"
    )
    parser.add_argument(
        "--mnist",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of the original MNIST files",
    )
    parser.add_argument(
        "--count",
        type=int,
        default=100,
        help="pictures per variant, a multiple of 10 (default: 100)",
    )
    parser.add_argument(
        "--split", choices=PREFIXES, default="test", help="images to use (default: test)"
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    arguments = parser.parse_args()
    if arguments.count < 10 or arguments.count % 10:
        parser.error(f"--count takes a positive multiple of 10, received {arguments.count}")
    images, labels = read_mnist(arguments.mnist, arguments.split)
    each = arguments.count // 10
    chosen = np.concatenate([np.flatnonzero(labels == digit)[:each] for digit in range(10)])
    for number, (name, draw) in enumerate(VARIANTS.items()):
        folder = arguments.out / name
        folder.mkdir(parents=True, exist_ok=True)
        for index in chosen:
            random = np.random.default_rng((arguments.seed, number, int(index)))
            picture = draw(images[index], random)
            picture.save(folder / f"{index:05d}_{labels[index]}.jpg", quality=90)
        print(f"{folder}: {len(chosen)} pictures")


if __name__ == "__main__":
    main()
