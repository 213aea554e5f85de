"""Find handwritten characters in a photo or scan, and normalize them like those of MNIST.

1. Reduce the picture to a working size and smooth it.
2. Decide whether the background is light or dark; invert a dark one.
3. Estimate the background with a grey-scale closing. Shadows, tables, page edges and dark scan
   edges are wider than pen strokes, so the closing keeps them as background.
4. Threshold how much darker each pixel is than its background, and label connected components.
5. Join the components of each character, and remove specks.
6. Scale each character to fit a 20x20 box, and center it by its mass in a 28x28 image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from etils import epy

with epy.lazy_imports():
    from PIL import Image
    from scipy import ndimage

# Longest side in pixels of the reduced picture: strokes on a full page must remain visible.
_WORKING_SIDE = 800

# The next four are relative to the longer side of the picture.
_SMOOTHING = 1 / 200  # side of the box filter: removes sensor noise, keeps thin strokes
_WINDOW = 1 / 3  # side of the closing's square: wider than the thickest stroke of a felt pen
_GAP = 1 / 80  # pieces of ink with a narrower gap are one stroke, broken by a shadow or the pen
_SPECK = 1 / 50  # pieces of ink whose longer side is shorter are noise

# Grey levels added before a ratio or a logarithm, to reduce the effect of noise in dark areas.
_DARK_LEVEL = 64.0

_LEAST_STRENGTH = 0.25  # least ink strength; fainter marks are ruled lines, smudges, folds or noise
_THRESHOLD = 0.5  # share of the strongest ink; fainter pixels are background, such as ruled lines

# The next three are relative to a larger piece of ink.
_NEAR = 0.15  # pieces within this distance may belong together
_FRAGMENT = 0.6  # a piece next to a character belongs to it up to this share of its height
_IGNORED = 0.3  # separate things below this share of the largest are specks and smudges

_BOX = 20 / 28  # MNIST's characters fill 20 of 28 pixels
_STROKE = 1.9  # median stroke width of MNIST in pixels of the 20x20 box; thinner ones are thickened

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Ink:
    """One separate character or drawing on a plain background.

    Attributes:
        image: uint8 [height, width], light ink on black (0), as in MNIST.
        box: left, top, right, bottom of the crop in pixels of the input picture.
    """

    image: np.ndarray
    box: Box


@dataclass(frozen=True)
class Found:
    """The ink in a picture.

    Attributes:
        things: the separate things, left to right.
        cut_off: number of things that are left out because the edge of the picture cuts them off.
        small: number of things that are left out because they are small, specks not included.
    """

    things: list[Ink]
    cut_off: int
    small: int


@dataclass
class _Thing:
    """Pieces of ink that belong together: their labels and their bounding box."""

    labels: list[int]
    box: Box

    @property
    def side(self) -> int:
        return max(self.box[2] - self.box[0], self.box[3] - self.box[1])


def find(grey: np.ndarray, size: tuple[int, int] = (28, 28)) -> Found:
    """Return the separate things in a picture, and how many are left out.

    A thing is one character, or several that touch. Pieces of a broken stroke belong to their
    character. Things at the edge of the picture are cut off, so they are returned only if there are
    no others.

    Args:
        grey: uint8 [h, w], a picture of dark ink on a light background, or the reverse.
        size: height and width of the returned images. The longer side of a thing becomes
            20/28 of the smaller of the two.

    Raises:
        ValueError: ``grey`` is not a uint8 array of two dimensions, or it is empty.
    """
    if grey.dtype != np.uint8 or grey.ndim != 2 or not grey.size:
        raise ValueError(f"grey must be uint8 [h, w], received {grey.dtype} {list(grey.shape)}")
    factor = -(-max(grey.shape) // _WORKING_SIDE)
    picture = np.asarray(Image.fromarray(grey).reduce(factor), np.float32)
    side = max(picture.shape)
    smoothing = _odd(_SMOOTHING * side)
    strength = _ink_strength(ndimage.uniform_filter(picture, smoothing), _odd(_WINDOW * side))
    threshold = max(_LEAST_STRENGTH, _THRESHOLD * float(strength.max()))
    mask = strength > threshold
    labels, _ = ndimage.label(ndimage.maximum_filter(mask, _odd(_GAP * side)), np.ones((3, 3)))
    labels *= mask
    # Coverage is 0.5 at the threshold, so that strokes keep their width and soft edges.
    coverage = np.clip(strength / threshold - 0.5, 0, 1)

    things = []
    kept, cut_off, small = _things(labels, _SPECK * side)
    for thing in kept:
        left, top, right, bottom = thing.box
        around = (slice(max(0, top - 2), bottom + 2), slice(max(0, left - 2), right + 2))
        own = np.isin(labels[around], thing.labels)
        own = ndimage.maximum_filter(own, 5)
        image = _normalized(coverage[around] * own, thing.side, size)
        edges = (left, top, min(right, grey.shape[1] / factor), min(bottom, grey.shape[0] / factor))
        things.append(Ink(image, tuple(round(edge * factor) for edge in edges)))
    return Found(things, cut_off, small)


def _odd(length: float) -> int:
    """Return an odd number of pixels close to a length, at least 1."""
    return 2 * int(length / 2) + 1


def _ink_strength(picture: np.ndarray, window: int) -> np.ndarray:
    """Return the amount of ink on each pixel, float [h, w], 0 (none) to 1.

    Args:
        picture: float [h, w] of 0..255.
        window: odd side in pixels of a square that is wider than any stroke.
    """
    is_light = _is_background_light(picture, window)
    if not is_light:
        picture = 255 - picture
    # With a dark frame, dark bands along the picture edges are background, however narrow.
    framed = np.pad(picture, window // 2)
    closed = ndimage.minimum_filter(ndimage.maximum_filter(framed, window), window)
    height, width = picture.shape
    background = closed[window // 2 :, window // 2 :][:height, :width]
    # Dark ink scales with the light, as in a shadow; light ink adds a constant difference.
    return (background - picture) / ((background if is_light else 255) + _DARK_LEVEL)


def _is_background_light(picture: np.ndarray, window: int) -> bool:
    """Return whether most pixels near ink are closer to the lightest than to the darkest there.

    The edge of a shadow cancels out: it has as many light as dark pixels nearby. In logarithms, a
    shadow has less contrast than ink.
    """
    level = np.log(picture + _DARK_LEVEL)
    lightest = ndimage.maximum_filter(level, window)
    darkest = ndimage.minimum_filter(level, window)
    return bool((2 * level - lightest - darkest).sum() >= 0)


def _things(labels: np.ndarray, speck: float) -> tuple[list[_Thing], int, int]:
    """Return the things that labelled pieces of ink form, left to right.

    Args:
        labels: int [h, w], 0 where there is no ink.
        speck: longer side in pixels of the smallest piece of ink.

    Returns:
        The things; the number of those left out at the edge, and of small ones.
    """
    pieces = [
        _Thing([label], (columns.start, rows.start, columns.stop, rows.stop))
        for label, (rows, columns) in enumerate(ndimage.find_objects(labels), 1)
    ]
    things: list[_Thing] = []
    for piece in sorted(pieces, key=lambda piece: -piece.side):
        if piece.side < speck:
            break
        for thing in things:
            if _belongs(piece, thing):
                thing.labels += piece.labels
                thing.box = _union(piece.box, thing.box)
                break
        else:
            things.append(piece)
    height, width = labels.shape
    whole = [
        thing
        for thing in things
        if min(thing.box[:2]) > 0 and thing.box[2] < width and thing.box[3] < height
    ]
    kept = whole or things
    least = _IGNORED * max((thing.side for thing in kept), default=0)
    small = sum(thing.side < least for thing in things)
    kept = sorted((thing for thing in kept if thing.side >= least), key=lambda thing: thing.box)
    return kept, len(things) - small - len(kept), small


def _belongs(piece: _Thing, thing: _Thing) -> bool:
    """Return whether a piece is part of a larger thing: above or below it, or a nearby fragment."""
    left, top, right, bottom = piece.box
    thing_left, thing_top, thing_right, thing_bottom = thing.box
    gap_x = max(left, thing_left) - min(right, thing_right)
    gap_y = max(top, thing_top) - min(bottom, thing_bottom)
    if max(gap_x, gap_y) > _NEAR * thing.side:
        return False
    in_column = -gap_x >= min(right - left, thing_right - thing_left) / 2
    return in_column or bottom - top <= _FRAGMENT * (thing_bottom - thing_top)


def _union(one: Box, other: Box) -> Box:
    (left, top), (right, bottom) = map(min, one[:2], other[:2]), map(max, one[2:], other[2:])
    return left, top, right, bottom


def _normalized(coverage: np.ndarray, side: int, size: tuple[int, int]) -> np.ndarray:
    """Return one thing as an MNIST-like image, uint8 of ``size``.

    Args:
        coverage: float [h, w], the share of each pixel that ink covers, 0..1.
        side: longer side of the thing in pixels.
        size: height and width of the image.
    """
    box = round(_BOX * min(size))
    # In a stroke, the mean distance to its edge is a quarter of its width plus half a pixel.
    distances = ndimage.distance_transform_cdt(np.pad(coverage > 0.5, 1), "chessboard")
    stroke = 4 * float(distances[distances > 0].mean()) - 2
    grow = max(0, round((_STROKE * side / box - stroke) / 2))
    coverage = ndimage.maximum_filter(np.pad(coverage, grow), 2 * grow + 1)
    step = (side + 2 * grow) / box  # picture pixels per image pixel
    rows = _area_weights(coverage.sum(1), size[0], step)
    columns = _area_weights(coverage.sum(0), size[1], step)
    image = rows @ coverage @ columns.T
    return np.round(255 * image / image.max()).astype(np.uint8)


def _area_weights(mass: np.ndarray, length: int, step: float) -> np.ndarray:
    """Return weights that resample one axis by area, with the center of mass in the middle.

    Args:
        mass: float [n], the ink in each of the n pixels along the axis.
        length: number of pixels of the image.
        step: picture pixels per image pixel.

    Returns:
        float [length, n], the share of each pixel of the picture in each pixel of the image.
    """
    pixels = np.arange(len(mass))
    center = np.average(pixels + 0.5, weights=mass)
    edges = center + step * (np.arange(length + 1) - length / 2)
    overlaps = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.maximum(overlaps, 0) / step
