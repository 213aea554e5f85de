"""The images that a network has been trained on, so that none of them counts as a test image.

A folder that grew since a training has other splits: pictures that were trained on may be test
pictures now. So a run keeps a digest of each image that its weights have learned from, directly, or
through the weights that they began with, or through their teachers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from zoo.data import paging
from zoo.data.splits import Split
from zoo.util import atomic

_BYTES = 8  # two of a million images have the same digest with a probability of 3e-8


def write(file: Path, train: Split, earlier: Iterable[Path]) -> None:
    """Write the digests of the training images, and those of earlier runs.

    Args:
        file: the ``.npy`` file, uint64 [N], sorted.
        train: the training split.
        earlier: the files of the runs that the training has learned from; one that is not there is
            passed over.
    """
    known = [np.load(each) for each in earlier if each.exists()]
    with atomic.staged(file) as stage, stage.open("wb") as stream:
        np.save(stream, np.unique(np.concatenate([_digests(train.images), *known])))


def count(file: Path, split: Split) -> int:
    """Return how many images of a split are in a file; 0 if an earlier version wrote none."""
    if not file.exists():
        return 0
    return int(np.isin(_digests(split.images), np.load(file)).sum())


def warning(name: str, file: Path, split: Split) -> str | None:
    """Return a line about images of a split that a run was trained on; None if there are none."""
    found = count(file, split)
    if not found:
        return None
    return (
        f"WARNING: {name} was trained on {found:,} of the {len(split):,} {split.name} images, so "
        f"the {split.name} accuracy is not that of new images"
    )


def _digests(images: np.ndarray) -> np.ndarray:
    """Return a digest of each image, uint64 [N]."""
    digests = [
        hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=_BYTES).digest()
        for block in paging.blocks(images)
        for image in images[block]
    ]
    return np.frombuffer(b"".join(digests), "<u8")
