"""A part of a data set, and how one is chosen by class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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


def split_of(labels: np.ndarray) -> np.ndarray:
    """Return the split of each image of an unsplit set, stratified and fixed.

    Of ten images of one class, in stored order, seven are to learn from, one is to select with
    and two are to score.

    Args:
        labels: int [N].

    Returns:
        ``train``, ``validation`` or ``test``, str [N].
    """
    rank = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        rank[labels == label] = np.arange(np.sum(labels == label))
    return np.array(["train"] * 7 + ["validation"] + ["test"] * 2)[rank % 10]


def stratified(split: Split, count: int) -> np.ndarray:
    """Return the sorted positions of about ``count`` images, the first of each class in turn."""
    per_class = max(1, count // len(np.unique(split.labels)))
    chosen = [
        np.flatnonzero(split.labels == label)[:per_class] for label in np.unique(split.labels)
    ]
    return np.sort(np.concatenate(chosen))
