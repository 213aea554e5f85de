"""Redraw ltfn5.svg and fits.png, and with --network seen.png.

python -m tools.update_figures --network exports/ltfn5/1
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import figure
from PIL import Image, ImageDraw, ImageFilter

import zoo
from zoo import draw
from zoo.data import preprocessing
from zoo.data.preprocessing import Preprocessing
from zoo.util import backend

FIGURES = Path(__file__).parent.parent / "docs" / "figures"


def main() -> None:
    """Draw the figures."""
    parser = argparse.ArgumentParser(description="Redraw the figures of the documentation.")
    parser.add_argument("--network", type=Path, help="run or bundle that classifies the photograph")
    arguments = parser.parse_args()
    backend.start_tensorflow()
    write(FIGURES)
    if arguments.network:
        with tempfile.TemporaryDirectory() as folder:
            photograph = Path(folder) / "photo.jpg"
            photograph_of_a_digit().save(photograph, quality=90)
            seen = FIGURES / "seen.png"
            seen.unlink(missing_ok=True)  # only a file that --show wrote is replaced
            line = ["zoo.predict", arguments.network, photograph, "--show", seen]
            subprocess.run([sys.executable, "-m", *map(str, line)], check=True)


def write(folder: Path) -> None:
    """Write ltfn5.svg and fits.png, which are the same each time with one version of matplotlib."""
    with mpl.rc_context({"svg.hashsalt": "ltfn-zoo"}):
        picture = draw.draw_network(zoo.create_model("ltfn5"))
        picture.savefig(folder / "ltfn5.svg", format="svg", metadata={"Date": None})
    fits().savefig(folder / "fits.png", format="png", metadata={"Software": None})


def fits() -> figure.Figure:
    """Draw a wide photograph and the result of each fit."""
    photograph = Image.new("RGB", (320, 180), (214, 226, 236))
    pen = ImageDraw.Draw(photograph)
    pen.rectangle((0, 130, 320, 180), fill=(96, 128, 80))
    pen.ellipse((20, 60, 110, 150), fill=(190, 70, 40))
    pen.polygon([(230, 140), (265, 40), (300, 140)], fill=(60, 60, 110))
    drawing = figure.Figure(figsize=(9, 2.4), dpi=100, layout="constrained")
    axes = drawing.subplots(1, 4, width_ratios=(16, 9, 9, 9))
    axes[0].imshow(photograph)
    axes[0].set_title("a photograph, 320x180")
    for place, fit in zip(axes[1:], preprocessing.FITS, strict=True):
        wanted = Preprocessing(height=48, width=48, channels=3, fit=fit)
        place.imshow(preprocessing.prepare(photograph, wanted).image)
        place.set_title(f"--fit {fit}")
    for place in axes:
        place.set_axis_off()
    return drawing


def photograph_of_a_digit() -> Image.Image:
    """Draw a seven in pen on paper, off-centre, under uneven light."""
    rng = np.random.default_rng(7)
    ink = Image.new("L", (480, 360), 0)
    pen = ImageDraw.Draw(ink)
    pen.line([(296, 182), (364, 176), (322, 296)], fill=255, width=11, joint="curve")
    pen.line([(310, 240), (356, 236)], fill=255, width=9)
    coverage = np.asarray(ink.filter(ImageFilter.GaussianBlur(1.5)), float)[..., None] / 255
    down, across = np.mgrid[0:360, 0:480]
    light = (1 - 0.45 * across / 480 - 0.15 * down / 360)[..., None]
    paper = np.array([238, 232, 218]) * light
    pixels = paper * (1 - coverage) + np.array([30, 40, 90]) * coverage
    noise = rng.normal(0, 5, (360, 480, 1))
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))


if __name__ == "__main__":
    main()
