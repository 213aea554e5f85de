"""A part of a data set, and how one is chosen by class."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

NAMES = ("train", "validation", "test")

# What is hashed at one time: a memory-mapped split need not fit into memory.
_IMAGES_AT_ONCE = 4_096


@dataclass(frozen=True)
class Split:
    """One part of a data set, in stored order.

    Attributes:
        name: ``train``, ``validation`` or ``test``.
        images: uint8 [N, height, width, channels].
        labels: int64 [N].
    """

    name: str
    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the labels and pixels, in hexadecimal."""
        digest = hashlib.sha256(f"{self.images.shape}".encode())
        digest.update(np.ascontiguousarray(self.labels, "<i8").data)
        for at in range(0, len(self), _IMAGES_AT_ONCE):
            digest.update(np.ascontiguousarray(self.images[at : at + _IMAGES_AT_ONCE]).data)
        return digest.hexdigest()

    def part(self, name: str, chosen: slice | np.ndarray) -> Split:
        """Return some of the images as a split of another name."""
        return Split(name, self.images[chosen], self.labels[chosen])


def missing_from(labels: np.ndarray, present: Sequence[str]) -> np.ndarray:
    """Return which split each training image of a set goes to, stratified and fixed.

    Of ten images of one class, in stored order, one is held out for the validation split and two
    for the test split, where the set lacks these; the others are to learn from.

    Args:
        labels: int [N], of the images of the set's train split.
        present: the splits that the set has.

    Returns:
        ``train``, ``validation`` or ``test``, str [N].
    """
    rank = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        rank[labels == label] = np.arange(np.sum(labels == label))
    held = [name if name not in present else "train" for name in ("validation", "test", "test")]
    return np.array(["train"] * 7 + held)[rank % 10]


def stratified(split: Split, count: int) -> np.ndarray:
    """Return the sorted positions of about ``count`` images, the first of each class in turn."""
    per_class = max(1, count // len(np.unique(split.labels)))
    chosen = [
        np.flatnonzero(split.labels == label)[:per_class] for label in np.unique(split.labels)
    ]
    return np.sort(np.concatenate(chosen))
