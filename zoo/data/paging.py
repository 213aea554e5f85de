"""Keep a process small that reads memory-mapped images, however many there are."""

from __future__ import annotations

import mmap
from collections.abc import Iterator

import numpy as np

_BLOCK = 1 << 26
_SCATTERED = 64  # images read between two releases
_LARGE = 1 << 28  # bytes of a mapping that is worth the system call


def blocks(images: np.ndarray) -> Iterator[slice]:
    """Yield slices of about 64 MiB that cover the images; ``release`` them after each.

    Args:
        images: [N, H, W, C].
    """
    count = max(1, _BLOCK // max(1, images[:1].nbytes))
    for at in range(0, len(images), count):
        yield slice(at, at + count)
        release(images)


def take(images: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return a copy of the images at some positions, and ``release`` the others read with them.

    A system with large pages reads up to megabytes around each image.

    Args:
        images: [N, H, W, C].
        positions: int [M].
    """
    taken = np.empty((len(positions), *images.shape[1:]), images.dtype)
    for at in range(0, len(positions), _SCATTERED):
        taken[at : at + _SCATTERED] = images[positions[at : at + _SCATTERED]]
        release(images)
    return taken


def release(images: np.ndarray) -> None:
    """Let go of the pages of a memory-mapped array that this process has read or written.

    The system takes them back only when memory is short, so a process would grow to the size of the
    array. What was written stays in the file. Small arrays, and those that are not mapped, are left
    alone, as is every array where the system cannot do this (Windows).

    Args:
        images: the mapped array, or a slice of it.
    """
    mapping: object = images
    while isinstance(mapping, np.ndarray):
        mapping = mapping.base
    if isinstance(mapping, mmap.mmap) and len(mapping) >= _LARGE and hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)
