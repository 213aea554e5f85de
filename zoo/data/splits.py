"""Splits of a dataset, and stratified selections of images."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from zoo.data import paging

NAMES = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """One split of a dataset, in stored order.

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
        """Hexadecimal SHA-256 of the shape, labels and pixels."""
        digest = hashlib.sha256(f"{self.images.shape}".encode())
        digest.update(np.ascontiguousarray(self.labels, "<i8").data)
        for block in paging.blocks(self.images):
            digest.update(np.ascontiguousarray(self.images[block]).data)
        return digest.hexdigest()

    def part(self, name: str, chosen: slice | np.ndarray) -> Split:
        """Return the chosen images as a split with the given name; positions copy the images."""
        return Split(name, self.images[chosen], self.labels[chosen])


def assign_splits(labels: np.ndarray, present: Sequence[str]) -> np.ndarray:
    """Return the split to which each training image is assigned, to create the missing splits.

    The assignment is fixed and stratified: of every ten images of a class, in stored order, one is
    moved to the validation split and two to the test split, if the dataset lacks these.

    Args:
        labels: int [N], labels of the dataset's train split.
        present: splits that the dataset has.

    Returns:
        ``train``, ``validation`` or ``test``, str [N].
    """
    rank = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        rank[labels == label] = np.arange(np.sum(labels == label))
    held = [name if name not in present else "train" for name in ("validation", "test", "test")]
    return np.array(["train"] * 7 + held)[rank % 10]


def stratified(split: Split, count: int) -> np.ndarray:
    """Return the sorted positions of about ``count`` images, the first ones of each class."""
    per_class = max(1, count // len(np.unique(split.labels)))
    chosen = [
        np.flatnonzero(split.labels == label)[:per_class] for label in np.unique(split.labels)
    ]
    return np.sort(np.concatenate(chosen))
