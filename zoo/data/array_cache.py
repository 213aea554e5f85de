"""Cache decoded images on disk as memory-mapped arrays that are verified when opened.

A start reads one file instead of decoding every picture, and the memory used by training does not
grow with the data. Each split is stored as its images, its labels, and a fingerprint of both; if
the fingerprint does not match, the split is decoded again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from filelock import FileLock

from zoo.data import paging
from zoo.data.splits import Split
from zoo.errors import ZooError
from zoo.util import atomic

Announce = Callable[[str], None]
"""Called with each line that a user should see."""

Fill = Callable[[np.ndarray], np.ndarray]
"""Decode a split: fill uint8 images [N, H, W, C] and return their labels, int64 [N]."""


def cached(
    folder: Path, name: str, shape: tuple[int, int, int, int], fill: Fill, announce: Announce
) -> Split:
    """Return one split from the cache, decoding it first if necessary.

    Args:
        folder: folder of the cached arrays; it is created if missing.
        name: name of the split.
        shape: shape of its images, ``(N, H, W, C)``.
        fill: function that decodes the split.
        announce: called with a line if the cached arrays are damaged or cannot be written.

    Raises:
        ZooError: the disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{name}.lock"):
            return _opened(folder, name, shape, announce) or _written(folder, name, shape, fill)
    except OSError as error:
        if error.errno in atomic.FULL:
            raise ZooError(
                f"cannot cache the decoded images in {folder}: {error.strerror}; "
                "give another folder with --data-dir or TFDS_DATA_DIR"
            ) from error
        announce(f"{folder} cannot be written ({error.strerror}): images are decoded at each start")
        images = np.empty(shape, np.uint8)
        return Split(name, images, fill(images))


def selected(folder: Path, name: str, whole: Split, rows: np.ndarray, announce: Announce) -> Split:
    """Return some images of a split as another one, from the cache like ``cached``.

    Args:
        folder: where the cached arrays get a folder, whose name depends on the images chosen.
        name: name of the new split.
        whole: the split that contains the images.
        rows: int [M], their positions.
        announce: called with a line if the cached arrays are damaged or cannot be written.

    Raises:
        ZooError: the disk is full.
    """

    def fill(images: np.ndarray) -> np.ndarray:
        for block in paging.blocks(images):
            images[block] = whole.images[rows[block]]
            paging.release(whole.images)
        return whole.labels[rows]

    chosen = hashlib.sha256(whole.fingerprint.encode() + rows.tobytes()).hexdigest()
    shape = (len(rows), *whole.images.shape[1:])
    return cached(folder / chosen[:16], name, shape, fill, announce)


def _opened(
    folder: Path, name: str, shape: tuple[int, int, int, int], announce: Announce
) -> Split | None:
    """Return the cached split, or None if it is missing or damaged."""
    images, labels, fingerprint = _paths(folder, name)
    try:
        recorded = fingerprint.read_text(encoding="ascii")
        split = Split(name, np.load(images, mmap_mode="r"), np.load(labels))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError) as error:
        announce(f"the cached images in {folder} are damaged ({error}): decoding them again")
        return None
    fits = split.images.shape == shape and split.images.dtype == np.uint8
    if not fits or split.fingerprint != recorded:
        announce(f"the cached images of {name} in {folder} are damaged: decoding them again")
        return None
    return split


def _written(folder: Path, name: str, shape: tuple[int, int, int, int], fill: Fill) -> Split:
    images, labels, fingerprint = _paths(folder, name)
    with atomic.staged(images) as stage:
        kept = np.lib.format.open_memmap(stage, "w+", np.uint8, shape)
        # On a full disk, writing to an unreserved part of a mapped file kills the process.
        atomic.reserve(stage, stage.stat().st_size)
        values = fill(kept)
        kept.flush()
    with atomic.staged(labels) as stage, stage.open("wb") as file:
        np.save(file, values)
    split = Split(name, np.load(images, mmap_mode="r"), np.load(labels))
    # Written last: arrays without a fingerprint are ignored.
    with atomic.staged(fingerprint) as stage:
        stage.write_text(split.fingerprint, encoding="ascii")
    return split


def _paths(folder: Path, name: str) -> tuple[Path, Path, Path]:
    images, labels, fingerprint = (
        folder / f"{name}.{kind}" for kind in ("images.npy", "labels.npy", "sha256")
    )
    return images, labels, fingerprint
