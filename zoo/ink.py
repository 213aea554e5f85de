"""Find handwritten characters in a photo or scan and normalize each as MNIST was made.

The picture is reduced to a working size. The background is what a grey-scale closing leaves: it
follows uneven light and the edges of shadows, pages and tables. Ink is darker than its background;
connected pieces of ink form a character, which is scaled and centered by its mass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from etils import epy

with epy.lazy_imports():
    from PIL import Image
    from scipy import ndimage

WORKING_SIDE = 800
SMOOTHING = 1 / 300
WINDOW = 1 / 3
LOG_OFFSET = 64.0
STROKE = 1.7
DARKNESS = 32.0
RESAMPLE = "BILINEAR"
LEAST_STRENGTH = 0.15
THRESHOLD = 0.5
LEAST_SIDE = 1 / 40
FRAGMENT = 0.5
NEAR = 0.15
IGNORED = 0.3


@dataclass(frozen=True)
class Ink:
    """One separate thing drawn on a plain background."""

    image: np.ndarray
    box: tuple[int, int, int, int]


def find(grey: np.ndarray, size: tuple[int, int] = (28, 28)) -> list[Ink]:
    """Return the separate things in a picture, left to right; empty if there is no ink."""
    factor = -(-max(grey.shape) // WORKING_SIDE)
    picture = np.asarray(Image.fromarray(grey).reduce(factor), np.float32)
    side = max(picture.shape)
    smooth = ndimage.uniform_filter(picture, _odd(side * SMOOTHING))
    window = _odd(side * WINDOW)
    if not is_background_light(smooth, window):
        smooth = 255 - smooth
    paper = background(smooth, window)
    strength = (paper - smooth) / (paper + DARKNESS)
    threshold = max(LEAST_STRENGTH, THRESHOLD * float(strength.max()))
    labels, _ = ndimage.label(strength > threshold, np.ones((3, 3)))
    groups = group(labels, side)
    coverage = np.clip(strength / threshold - 0.5, 0, 1)
    found = []
    for members, (left, top, right, bottom) in groups:
        # A margin of one smoothing window keeps the soft edge of a stroke.
        own = ndimage.maximum_filter(np.isin(labels, members), _odd(side * SMOOTHING) + 2)
        image = render(coverage * own, (left, top, right, bottom), size)
        box = tuple(
            int(v)
            for v in (
                left * factor,
                top * factor,
                min(right * factor, grey.shape[1]),
                min(bottom * factor, grey.shape[0]),
            )
        )
        found.append(Ink(image, box))
    return found


def _odd(length: float) -> int:
    return 2 * int(length / 2) + 1


def is_background_light(picture, window):
    level = np.log(picture + LOG_OFFSET)
    high = ndimage.maximum_filter(level, window)
    low = ndimage.minimum_filter(level, window)
    return float((2 * level - high - low).sum()) >= 0


def background(picture, window):
    pad = window // 2
    padded = np.pad(picture, pad)
    closed = ndimage.minimum_filter(ndimage.maximum_filter(padded, window), window)
    return closed[pad : -pad or None, pad : -pad or None]


def group(labels, side):
    """[(labels, box)]"""
    things = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
        box = (columns.start, rows.start, columns.stop, rows.stop)
        things.append(([number], box))
    things = [t for t in things if _longer(t[1]) >= max(2, side * LEAST_SIDE / 4)]
    things.sort(key=lambda t: -_longer(t[1]))
    kept = []
    for members, box in things:
        for at, (others, other) in enumerate(kept):
            if _belongs(box, other):
                kept[at] = (others + members, _union(box, other))
                break
        else:
            kept.append((members, box))
    if not kept:
        return []
    largest = max(_longer(box) for _, box in kept)
    kept = [t for t in kept if _longer(t[1]) >= max(IGNORED * largest, side * LEAST_SIDE)]
    return sorted(kept, key=lambda t: t[1])


def _longer(box):
    return max(box[2] - box[0], box[3] - box[1])


def _union(a, b):
    return (min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3]))


def _belongs(small, large):
    gap_x = max(small[0], large[0]) - min(small[2], large[2])
    gap_y = max(small[1], large[1]) - min(small[3], large[3])
    if max(gap_x, gap_y) > NEAR * _longer(large):
        return False
    overlap = -gap_x >= 0.5 * min(small[2] - small[0], large[2] - large[0])
    return overlap or small[3] - small[1] <= FRAGMENT * (large[3] - large[1])


def render(coverage, box, size):
    left, top, right, bottom = box
    crop = coverage[top:bottom, left:right]
    inner = round(20 / 28 * min(size))
    thickness = 4 * ndimage.distance_transform_cdt(np.pad(crop > 0.5, 1), "chessboard")
    thickness = float(thickness[thickness > 0].mean()) - 2
    grow = max(0, round((STROKE * max(crop.shape) / inner - thickness) / 2))
    crop = ndimage.maximum_filter(np.pad(crop, grow), 2 * grow + 1)
    scale = inner / max(crop.shape)
    y = float((crop.sum(1) * (np.arange(crop.shape[0]) + 0.5)).sum() / crop.sum())
    x = float((crop.sum(0) * (np.arange(crop.shape[1]) + 0.5)).sum() / crop.sum())
    half_h, half_w = size[0] / scale / 2, size[1] / scale / 2
    pad = int(max(half_h, half_w)) + 2
    padded = np.pad(crop, pad).astype(np.float32)
    y, x = y + pad, x + pad
    image = Image.fromarray(padded).resize(
        (size[1], size[0]),
        Image.Resampling[RESAMPLE],
        (x - half_w, y - half_h, x + half_w, y + half_h),
    )
    image = np.asarray(image)
    return np.clip(np.round(255 * image / image.max()), 0, 255).astype(np.uint8)
