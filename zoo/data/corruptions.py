"""Corrupt images to measure robustness: seven kinds of corruption, five severities each.

The kinds and severities follow D. Hendrycks and T. Dietterich, Benchmarking Neural Network
Robustness to Common Corruptions and Perturbations, 2019 (noise and contrast have the values of
ImageNet-C), and N. Mu and J. Gilmer, MNIST-C, 2019. Lengths are relative to the shorter side, so
that they apply to any image size. The random generator is seeded with the position of an image, so
corruptions are reproducible and have the same direction at every severity.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

SEVERITIES = (1, 2, 3, 4, 5)

Corruption = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]
"""uint8 image [H, W, C], strength, random generator -> uint8 image [H, W, C]."""


def corrupt(images: np.ndarray, name: str, severity: int) -> np.ndarray:
    """Return corrupted copies of images.

    Args:
        images: uint8 [N, H, W, C] with one or three channels.
        name: one of ``CORRUPTIONS``.
        severity: 1 to 5.

    Returns:
        uint8 [N, H, W, C].
    """
    corruption, strengths = CORRUPTIONS[name]
    strength = strengths[severity - 1]
    return np.stack(
        [corruption(image, strength, np.random.default_rng(at)) for at, image in enumerate(images)]
    )


def _noise(image: np.ndarray, strength: float, random: np.random.Generator) -> np.ndarray:
    return _pixels(image + 255 * strength * random.normal(size=image.shape))


def _blur(image: np.ndarray, strength: float, random: np.random.Generator) -> np.ndarray:
    radius = ImageFilter.GaussianBlur(strength * min(image.shape[:2]))
    return _array(_picture(image).filter(radius), image)


def _shift(image: np.ndarray, strength: float, random: np.random.Generator) -> np.ndarray:
    angle, distance = random.uniform(0, 2 * math.pi), strength * min(image.shape[:2])
    return _moved(image, offset=(distance * math.cos(angle), distance * math.sin(angle)))


def _rotate(image: np.ndarray, strength: float, random: np.random.Generator) -> np.ndarray:
    return _moved(image, angle=math.radians(strength) * random.choice([-1, 1]))


def _scale(image: np.ndarray, strength: float, random: np.random.Generator) -> np.ndarray:
    return _moved(image, factor=strength)


def _contrast(image: np.ndarray, strength: float, random: np.random.Generator) -> np.ndarray:
    mean = image.mean(axis=(0, 1))
    return _pixels(mean + strength * (image - mean))


def _occlude(image: np.ndarray, strength: float, random: np.random.Generator) -> np.ndarray:
    side = round(strength * min(image.shape[:2]))
    top, left = (random.integers(0, length - side + 1) for length in image.shape[:2])
    occluded = image.copy()
    occluded[top : top + side, left : left + side] = _border(image)
    return occluded


CORRUPTIONS: dict[str, tuple[Corruption, tuple[float, ...]]] = {
    "noise": (_noise, (0.08, 0.12, 0.18, 0.26, 0.38)),  # deviation, relative to pixel range
    "blur": (_blur, (0.02, 0.03, 0.04, 0.055, 0.07)),  # deviation, relative to the side
    "shift": (_shift, (0.04, 0.08, 0.12, 0.16, 0.20)),  # distance, relative to the side
    "rotation": (_rotate, (8, 16, 24, 32, 40)),  # degrees
    "scale": (_scale, (0.9, 0.8, 0.7, 0.6, 0.5)),  # scale factor
    "contrast": (_contrast, (0.4, 0.3, 0.2, 0.1, 0.05)),  # remaining contrast
    "occlusion": (_occlude, (0.15, 0.22, 0.30, 0.38, 0.46)),  # square, relative to side
}


def _moved(
    image: np.ndarray,
    *,
    angle: float = 0.0,
    factor: float = 1.0,
    offset: tuple[float, float] = (0.0, 0.0),
) -> np.ndarray:
    """Return the image rotated and scaled about its center, then shifted."""
    height, width, _ = image.shape
    cosine, sine = math.cos(angle) / factor, math.sin(angle) / factor
    x, y = width / 2 + offset[0], height / 2 + offset[1]
    # Pillow expects the inverse map, from pixels of the result to positions in the image.
    place = (
        *(cosine, sine, width / 2 - cosine * x - sine * y),
        *(-sine, cosine, height / 2 + sine * x - cosine * y),
    )
    fill = tuple(_border(image).tolist())
    moved = _picture(image).transform(
        (width, height),
        Image.Transform.AFFINE,
        place,
        Image.Resampling.BILINEAR,
        fillcolor=fill if len(fill) > 1 else fill[0],
    )
    return _array(moved, image)


def _border(image: np.ndarray) -> np.ndarray:
    """Return the median color along the edges, uint8 [C], to fill pixels outside the image."""
    edges = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    return np.median(edges, axis=0).astype(np.uint8)


def _picture(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)


def _array(picture: Image.Image, like: np.ndarray) -> np.ndarray:
    return np.asarray(picture).reshape(like.shape)


def _pixels(values: np.ndarray) -> np.ndarray:
    return np.round(values).clip(0, 255).astype(np.uint8)
