"""What a foreign classifier takes for white, and which class each of its outputs is.

A Keras file holds neither. Both are found by scoring the network on labelled pictures of the
train and validation splits under each assumption. An assumption is better only if the paired sign
test says so: its right answers are not more by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from etils import epy

from zoo.data import Dataset
from zoo.data.splits import Split, stratified
from zoo.metrics import cross_entropy

with epy.lazy_imports():
    from scipy import optimize, stats

_PICTURES = 500  # of each split
_CHANCE = 1e-3  # largest probability of a difference by chance
_LEAST_ACCURACY = 0.5  # with another order of the classes; a poor network suits several
_HIGH_COST = 0.05  # in nats; below it a network is sure and right

Logits = Callable[[np.ndarray, str], np.ndarray]
"""uint8 images [N, H, W, C] and the name of a scale -> logits [N, classes]."""


@dataclass(frozen=True)
class Reading:
    """How well a network answers under one assumption.

    Attributes:
        scale: of the pixels, one of ``pixels.NAMES``.
        right: bool [N], which pictures are right with the classes in the given order.
        reordered: bool [N], the same with the order that suits the network best; for each half of
            the pictures it is the order that suits the other half.
        order: int [classes], the class that each output seems to be.
        cost: mean cross-entropy in nats, with the better of the two orders.
    """

    scale: str
    right: np.ndarray
    reordered: np.ndarray
    order: np.ndarray
    cost: float

    @property
    def other_order(self) -> bool:
        """Whether the network is good with the classes in another order than the given one."""
        good = np.mean(self.reordered) >= _LEAST_ACCURACY
        return bool(good) and is_better(self.reordered, self.right)

    @property
    def best(self) -> np.ndarray:
        """Which pictures are right with the better order, bool [N]."""
        return self.reordered if self.other_order else self.right


def sample(dataset: Dataset) -> Split:
    """Return pictures to score assumptions on: of train and validation at most 500 each.

    There are as many of each class as far as the set has them.
    """
    parts = [
        split.part(split.name, stratified(split, _PICTURES))
        for split in (dataset.validation, dataset.train)
    ]
    return Split(
        "training and validation",
        np.concatenate([part.images for part in parts]),
        np.concatenate([part.labels for part in parts]),
    )


def read(logits: Logits, scales: Sequence[str], pictures: Split) -> list[Reading]:
    """Return how well a network answers under each scale of the pixels.

    Args:
        logits: of the network.
        scales: names of scales.
        pictures: that it is scored on.
    """
    return [_reading(logits(pictures.images, scale), scale, pictures.labels) for scale in scales]


def beats(one: Reading, other: Reading) -> bool:
    """Return whether one scale suits a network clearly better than another.

    It is more often right, or as often right at less than half of a high cost.
    """
    surer = one.cost < other.cost / 2 and other.cost > _HIGH_COST
    return is_better(one.best, other.best) or (surer and not is_better(other.best, one.best))


def _reading(logits: np.ndarray, scale: str, labels: np.ndarray) -> Reading:
    answers = logits.argmax(axis=1)
    halves = np.arange(len(labels)) % 2 == 0
    reordered = np.empty(len(labels), bool)
    for half in (halves, ~halves):
        order = _order(answers[~half], labels[~half], logits.shape[1])
        reordered[half] = order[answers[half]] == labels[half]
    right = answers == labels
    order = _order(answers, labels, logits.shape[1])
    cost = min(cross_entropy(logits, each) for each in (labels, np.argsort(order)[labels]))
    return Reading(scale, right, reordered, order, cost)


def _order(answers: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Return the class for each output with which most pictures are right, int [classes]."""
    counts = np.zeros((classes, classes))
    np.add.at(counts, (answers, labels), 1)
    counts += np.eye(classes) / (len(labels) + 1)  # where nothing tells, the order stays
    return optimize.linear_sum_assignment(counts, maximize=True)[1]


def is_better(one: np.ndarray, other: np.ndarray) -> bool:
    """Return whether one assumption is right on more pictures than another, not by chance."""
    gained, lost = int(np.sum(one & ~other)), int(np.sum(other & ~one))
    if gained <= lost:
        return False
    return stats.binomtest(lost, gained + lost, alternative="less").pvalue < _CHANCE
