"""Infer the pixel scale and the class order of a user-supplied classifier.

A Keras file stores neither. The network is scored under each assumption on labelled images of the
train and validation splits. One assumption counts as more accurate than another only if a paired
sign test rules out chance.
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

_PICTURES = 500  # per split
_CHANCE = 1e-3  # significance level of the sign test
# Least accuracy for accepting another class order: several orders fit a weak network about equally.
_LEAST_ACCURACY = 0.5
_HIGH_COST = 0.05  # in nats; below it, a network is confident and correct

Logits = Callable[[np.ndarray, str], np.ndarray]
"""Function of uint8 images [N, H, W, C] and a scale's name, returns logits [N, classes]."""


@dataclass(frozen=True)
class Reading:
    """Scores of a network under one pixel scale.

    Attributes:
        scale: the pixel scale, one of ``pixels.NAMES``.
        right: bool [N], which images are correct with the classes in the given order.
        reordered: bool [N], the same with the best class order, which is estimated on one half of
            the images and applied to the other, for both halves.
        order: int [classes], the estimated class of each output.
        cost: mean cross-entropy in nats, with the better of the two orders.
    """

    scale: str
    right: np.ndarray
    reordered: np.ndarray
    order: np.ndarray
    cost: float

    @property
    def other_order(self) -> bool:
        """Whether another class order than the given one is accurate, and clearly better."""
        good = np.mean(self.reordered) >= _LEAST_ACCURACY
        return bool(good) and is_better(self.reordered, self.right)

    @property
    def best(self) -> np.ndarray:
        """Which images are correct with the better class order, bool [N]."""
        return self.reordered if self.other_order else self.right


def sample(dataset: Dataset) -> Split:
    """Return about 500 images of each of the train and validation splits, to score assumptions.

    The classes are balanced as far as the dataset allows.
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
    """Score a network under each pixel scale.

    Args:
        logits: computes the logits of the network.
        scales: names of the scales.
        pictures: labelled images to score on.
    """
    return [_reading(logits(pictures.images, scale), scale, pictures.labels) for scale in scales]


def beats(one: Reading, other: Reading) -> bool:
    """Return whether one pixel scale is clearly better than another.

    It is significantly more accurate; or it is not significantly less accurate, and the other's
    cross-entropy is above ``_HIGH_COST`` and more than twice as large.
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
    """Return the assignment of outputs to classes that gives the highest accuracy.

    Its type is int [classes]: the class of each output.
    """
    counts = np.zeros((classes, classes))
    np.add.at(counts, (answers, labels), 1)
    counts += np.eye(classes) / (len(labels) + 1)  # ties keep the given order
    return optimize.linear_sum_assignment(counts, maximize=True)[1]


def is_better(one: np.ndarray, other: np.ndarray) -> bool:
    """Return whether one assumption is correct on significantly more images than another."""
    gained, lost = int(np.sum(one & ~other)), int(np.sum(other & ~one))
    if gained <= lost:
        return False
    return stats.binomtest(lost, gained + lost, alternative="less").pvalue < _CHANCE
