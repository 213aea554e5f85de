"""Metrics of a network's predictions, the same for every runtime; requires only NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from zoo.data import paging
from zoo.data.splits import Split
from zoo.errors import DivergedError

_BINS = 15  # of the confidence; bin m holds those above m / 15

PredictFn = Callable[[np.ndarray], np.ndarray]
"""uint8 images [N, H, W, C] -> float32 logits [N, classes]; the interface of every runtime."""


@dataclass(frozen=True)
class Metrics:
    """The score of one runtime on a whole split.

    Attributes:
        correct: number of images whose largest logit is at their label.
        count: number of images in the split.
        cost: mean softmax cross-entropy in nats.
        logits: float32 [count, classes].
    """

    correct: int
    count: int
    cost: float
    logits: np.ndarray = field(repr=False)

    @property
    def accuracy(self) -> float:
        """Fraction of correct images, 0..1."""
        return self.correct / self.count


def evaluate(predict_fn: PredictFn, split: Split, batch_size: int = 100) -> Metrics:
    """Score ``predict_fn`` on every image of ``split``, including a short last batch.

    Raises:
        DivergedError: a logit is not finite.
    """
    logits = predict_in_batches(predict_fn, split.images, batch_size)
    check_finite(logits, f"{split.name} images")
    return compute_metrics(logits, split)


def predict_in_batches(
    predict_fn: PredictFn, images: np.ndarray, batch_size: int = 100
) -> np.ndarray:
    """Return the logits of all images, float32 [N, classes], including a short last batch."""
    logits = []
    for at in range(0, len(images), batch_size):
        logits.append(predict_fn(images[at : at + batch_size]))
        paging.release(images)
    return np.concatenate(logits)


def check_finite(logits: np.ndarray, images: str) -> None:
    """Reject logits [N, classes] that are not finite.

    Args:
        logits: the logits of some images.
        images: name of the images in the message.

    Raises:
        DivergedError: a logit is not finite.
    """
    broken = np.sum(~np.isfinite(logits).all(axis=1))
    if broken:
        raise DivergedError(
            f"the network's logits are not finite for {broken:,} of {len(logits):,} {images}; "
            "its training diverged: train again with a lower learning rate, "
            "--set learning_rate=RATE"
        )


def compute_metrics(logits: np.ndarray, split: Split) -> Metrics:
    """Return the score of logits [N, classes] that were computed for every image of ``split``.

    Logits may be non-finite: the proof of an exported file reports these itself.
    """
    return Metrics(
        correct=int(np.sum(logits.argmax(axis=1) == split.labels)),
        count=len(split),
        cost=cross_entropy(logits, split.labels),
        logits=logits,
    )


def class_counts(metrics: Metrics, labels: np.ndarray) -> list[tuple[int, int]]:
    """Return the number of correct images and of all images, for each class.

    Args:
        metrics: metrics of a split.
        labels: int [N], of the same split.
    """
    classes = metrics.logits.shape[1]
    right = labels[metrics.logits.argmax(axis=1) == labels]
    correct, count = (np.bincount(each, minlength=classes) for each in (right, labels))
    return list(zip(correct.tolist(), count.tolist(), strict=True))


def wilson_interval(correct: int, count: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of an accuracy, 0..1 (E. B. Wilson, 1927).

    Unlike the normal approximation it stays within 0..1, and has a width even if no image is wrong.
    """
    z = 1.959964  # the normal distribution's 97.5 % quantile
    share, square = correct / count, z * z / count
    middle = share + square / 2
    width = z * np.sqrt(share * (1 - share) / count + square / (4 * count))
    low, high = (float(end / (1 + square)) for end in (middle - width, middle + width))
    return max(0.0, low), min(1.0, high)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the probabilities, float64 [..., classes], of logits of the same shape."""
    exact = logits.astype(np.float64)
    powers = np.exp(exact - exact.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def calibration_error(metrics: Metrics, labels: np.ndarray) -> float:
    """Return the expected calibration error, 0..1.

    The images are grouped into bins of equal width by their confidence, the largest probability.
    The error is the mean distance between a bin's mean confidence and its accuracy, weighted by its
    number of images (C. Guo et al., On Calibration of Modern Neural Networks, 2017).

    Args:
        metrics: metrics of a split.
        labels: int [N], of the same split.
    """
    confidence = confidences(metrics.logits)
    right = metrics.logits.argmax(axis=1) == labels
    at = np.ceil(confidence * _BINS).astype(int) - 1
    # Of each bin, weight x distance = |sum of (confidence - correct)| / N.
    differences = np.bincount(at, weights=confidence - right, minlength=_BINS)
    return float(np.abs(differences).sum() / len(labels))


def confidences(logits: np.ndarray) -> np.ndarray:
    """Return the largest probability of each image, float64 [N], from logits [N, classes]."""
    return softmax(logits).max(axis=1)


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean softmax cross-entropy, NaN where logits are not finite."""
    with np.errstate(invalid="ignore"):
        # float64, since logits may be in the thousands.
        shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(shifted).sum(axis=1))
    return float(np.mean(log_sum - shifted[np.arange(len(labels)), labels]))
