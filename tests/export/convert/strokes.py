"""Digits as strokes of a pen: points (x, y) from 0 to 1, from the top left of the digit's box."""

from __future__ import annotations

import math

Stroke = list[tuple[float, float]]


def arc(*ellipse: float) -> Stroke:
    """Return a part of an ellipse: x, y, half its width and height, begin and end in degrees."""
    x, y, width, height, begin, end = ellipse
    angles = [math.radians(begin + (end - begin) * share / 8) for share in range(9)]
    return [(x + width * math.cos(angle), y + height * math.sin(angle)) for angle in angles]


DIGITS: dict[str, list[Stroke]] = {
    "0": [arc(0.5, 0.5, 0.32, 0.48, -90, 275)],
    "1": [[(0.55, 0.0), (0.5, 0.5), (0.45, 1.0)]],
    "2": [[*arc(0.5, 0.27, 0.34, 0.27, -170, 30), (0.15, 1.0), (0.9, 0.97)]],
    "3": [[*arc(0.45, 0.25, 0.33, 0.25, -160, 85), *arc(0.45, 0.74, 0.38, 0.26, -80, 160)]],
    "4": [[(0.3, 0.0), (0.15, 0.55), (0.9, 0.52)], [(0.72, 0.05), (0.62, 1.0)]],
    "5": [[(0.85, 0.02), (0.3, 0.02), (0.24, 0.42), *arc(0.45, 0.7, 0.36, 0.3, -80, 150)]],
    "6": [[(0.7, 0.0), (0.35, 0.35), *arc(0.5, 0.72, 0.3, 0.27, 180, -180)]],
    "7": [[(0.1, 0.05), (0.88, 0.03), (0.4, 1.0)]],
    "8": [[*arc(0.5, 0.26, 0.26, 0.25, 60, -240), *arc(0.5, 0.75, 0.32, 0.25, -60, 290)]],
    "9": [[*arc(0.48, 0.28, 0.28, 0.27, 0, -360), (0.74, 0.3), (0.66, 1.0)]],
}
