"""Photograph a web page for the documentation: with a drawn digit, or with several networks.

python -m tools.page_figures exports/ltfn5/1/web/ltfn5.html
python -m tools.page_figures exports/ltfn5/2/web/ltfn5.html --beside    # a page of several networks
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from zoo.bundles import browser

Scheme = Literal["light", "dark"]

FIGURES = Path(__file__).parent.parent / "docs" / "figures"

# A 4 as strokes of the pen, from the top left (0, 0) to the bottom right (1, 1) of the paper.
STROKES = (((0.35, 0.15), (0.28, 0.52), (0.7, 0.5)), ((0.62, 0.2), (0.55, 0.85)))

# Name, width, height, colors, and the volume to open with the place of the pointer.
Window = tuple[str, int, int, Scheme, tuple[int, float, float] | None]
BESIDE: tuple[Window, ...] = (("page-beside", 1100, 1290, "light", None),)
ALONE: tuple[Window, ...] = (
    ("page", 1100, 1020, "light", None),
    ("page-dark", 1000, 900, "dark", (5, 0.3, 0.35)),
    ("page-phone", 390, 900, "light", None),
)


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(prog="tools.page_figures", description=__doc__)
    parser.add_argument("page", type=Path)
    parser.add_argument("--beside", action="store_true", help="the page has several networks")
    arguments = parser.parse_args()
    file = arguments.page
    chromium = browser.launch()
    for name, width, height, scheme, opened in BESIDE if arguments.beside else ALONE:
        context = chromium.new_context(
            offline=True, viewport={"width": width, "height": height}, color_scheme=scheme
        )
        page = context.new_page()
        page.goto(file.resolve().as_uri())
        page.evaluate("async () => { await page; }")
        if arguments.beside:
            choose_where_they_differ(page)
        else:
            draw(page)
        if opened is not None:
            open_volume(page, *opened)
        picture = Image.open(io.BytesIO(page.screenshot()))
        # A palette makes the file a third as large.
        picture.quantize(128, dither=Image.Dither.NONE).save(FIGURES / f"{name}.png", optimize=True)
        context.close()


def draw(page: Any) -> None:
    """Draw the strokes with the mouse, and wait for the answer."""
    box = page.locator("#paper").bounding_box()
    for stroke in STROKES:
        for at, (x, y) in enumerate(stroke):
            page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=8)
            if at == 0:
                page.mouse.down()
        page.mouse.up()
    page.evaluate("async () => (await page).settled()")


def choose_where_they_differ(page: Any) -> None:
    """Choose the first test picture of a right answer for which another network differs."""
    for picture in page.locator("#others button").all():
        picture.click()
        page.evaluate("async () => (await page).settled()")
        if page.locator("article.differs").count():
            break
    page.evaluate("() => scrollTo(0, 0)")


def open_volume(page: Any, number: int, x: float, y: float) -> None:
    """Open the feature maps of a volume, and point to a value."""
    page.locator("#blocks [role=button]").nth(number).click()
    page.locator("#volumes-title").evaluate("element => element.scrollIntoView()")
    box = page.locator("#feature-maps").bounding_box()
    page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])


if __name__ == "__main__":
    main()
