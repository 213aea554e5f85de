"""Keep a process small that reads memory-mapped images, however many there are."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterator

import numpy as np

_BLOCK = 1 << 25  # bytes
_SCATTERED = 64  # images read between two releases
_LARGE = 1 << 28  # bytes of a mapping that is worth the system call


def blocks(images: np.ndarray) -> Iterator[slice]:
    """Yield slices of about 32 MiB that cover the images, and release the images after each.

    Args:
        images: [N, H, W, C].
    """
    count = in_block(images)
    for at in range(0, len(images), count):
        yield slice(at, at + count)
        release(images)


def in_block(images: np.ndarray) -> int:
    """Return how many of the images [N, H, W, C] have about 32 MiB, at least 1."""
    return max(1, _BLOCK // max(1, images[:1].nbytes))


def take(images: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return a copy of the images at some positions, and release the images after every 64.

    A system with large pages maps up to megabytes around each image.

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
    array. What was written stays in the file. Small arrays are left alone, and those that are not
    mapped or whose changes are not for the file (mode ``c``), as is every array where the system
    cannot do this (Windows).

    Args:
        images: the mapped array, or a slice of it.
    """
    mapping: object = images
    of_file = False
    while isinstance(mapping, np.ndarray):
        of_file |= isinstance(mapping, np.memmap) and mapping.mode in ("r", "r+", "w+")
        mapping = mapping.base
    if of_file and isinstance(mapping, mmap.mmap) and len(mapping) >= _LARGE:
        # AttributeError on Windows; OSError if the pages are locked.
        with contextlib.suppress(AttributeError, OSError):
            mapping.madvise(mmap.MADV_DONTNEED)
