"""Decoded images as plain arrays on disk: written once, checked when opened, memory-mapped.

A start costs one reading of the file instead of decoding every picture, and the memory of a
training does not grow with its data. Each split has its images, its labels, and a fingerprint of
both that they must still have; what does not fit is decoded anew.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from filelock import FileLock

from zoo.data.splits import Split
from zoo.errors import ZooError
from zoo.util import atomic

Announce = Callable[[str], None]

Fill = Callable[[np.ndarray], np.ndarray]
"""Decodes a split: fills uint8 images [N, H, W, C] and returns their labels, int64 [N]."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def cached(
    folder: Path, name: str, shape: tuple[int, int, int, int], fill: Fill, announce: Announce
) -> Split:
    """Return one split, decoded now or before.

    Args:
        folder: where the arrays of the split are kept; it is made.
        name: of the split.
        shape: of its images, ``(N, H, W, C)``.
        fill: decodes it.
        announce: called with a line if the arrays are damaged, or cannot be kept.

    Raises:
        ZooError: the disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{name}.lock"):
            return _opened(folder, name, shape, announce) or _written(folder, name, shape, fill)
    except OSError as error:
        if error.errno in _FULL:
            raise ZooError(
                f"cannot keep the decoded images in {folder}: {error.strerror}; "
                "give another folder with --data-dir or TFDS_DATA_DIR"
            ) from error
        announce(f"{folder} cannot be written ({error.strerror}): decoding at each start")
        images = np.empty(shape, np.uint8)
        return Split(name, images, fill(images))


def _opened(
    folder: Path, name: str, shape: tuple[int, int, int, int], announce: Announce
) -> Split | None:
    """Return the split that is kept, None if there is none or it is damaged."""
    images, labels, fingerprint = _paths(folder, name)
    try:
        recorded = fingerprint.read_text(encoding="ascii")
        split = Split(name, np.load(images, mmap_mode="r"), np.load(labels))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError) as error:
        announce(f"the decoded images in {folder} are damaged ({error}): decoding again")
        return None
    fits = split.images.shape == shape and split.images.dtype == np.uint8
    if not fits or split.fingerprint != recorded:
        announce(f"the decoded images of {name} in {folder} are damaged: decoding again")
        return None
    return split


def _written(folder: Path, name: str, shape: tuple[int, int, int, int], fill: Fill) -> Split:
    images, labels, fingerprint = _paths(folder, name)
    with atomic.staged(images) as stage:
        kept = np.lib.format.open_memmap(stage, "w+", np.uint8, shape)
        _allocate(stage)
        values = fill(kept)
        kept.flush()
    with atomic.staged(labels) as stage, stage.open("wb") as file:
        np.save(file, values)
    split = Split(name, np.load(images, mmap_mode="r"), np.load(labels))
    # Last: until it is there, the arrays do not count.
    with atomic.staged(fingerprint) as stage:
        stage.write_text(split.fingerprint, encoding="ascii")
    return split


def _paths(folder: Path, name: str) -> tuple[Path, Path, Path]:
    images, labels, fingerprint = (
        folder / f"{name}.{kind}" for kind in ("images.npy", "labels.npy", "sha256")
    )
    return images, labels, fingerprint


def _allocate(path: Path) -> None:
    """Reserve a mapped file's blocks: on a full disk a write into a hole kills the process."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
