"""One scoring function for every runtime; needs NumPy alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from zoo.errors import DivergedError
from zoo.splits import Split

PredictFn = Callable[[np.ndarray], np.ndarray]
"""uint8 images [N, H, W, C] -> float32 logits [N, classes]; what every runtime offers."""


@dataclass(frozen=True)
class Metrics:
    """The score of one runtime over one whole split.

    Attributes:
        correct: images whose largest logit is their label's.
        count: images in the split.
        cost: mean softmax cross-entropy in nats.
        logits: float32 [count, classes].
    """

    correct: int
    count: int
    cost: float
    logits: np.ndarray = field(repr=False)

    @property
    def accuracy(self) -> float:
        """Share of correct images, 0..1."""
        return self.correct / self.count


def evaluate(predict_fn: PredictFn, split: Split, batch_size: int = 100) -> Metrics:
    """Score ``predict_fn`` on every image of ``split``, the last short batch included.

    Raises:
        DivergedError: a logit is not finite.
    """
    logits = predictions(predict_fn, split.images, batch_size)
    check_finite(logits, f"{split.name} images")
    return metrics_of(logits, split)


def predictions(predict_fn: PredictFn, images: np.ndarray, batch_size: int = 100) -> np.ndarray:
    """Return the logits of all images, float32 [N, classes], the last short batch included."""
    starts = range(0, len(images), batch_size)
    return np.concatenate([predict_fn(images[at : at + batch_size]) for at in starts])


def check_finite(logits: np.ndarray, images: str) -> None:
    """Reject logits [N, classes] that are not finite.

    Args:
        logits: of some images.
        images: what the message calls the images.

    Raises:
        DivergedError: a logit is not finite.
    """
    broken = np.sum(~np.isfinite(logits).all(axis=1))
    if broken:
        raise DivergedError(
            f"the network's logits are not finite for {broken:,} of {len(logits):,} {images}; "
            "its training diverged: train again with a lower rate, --set learning_rate=RATE"
        )


def metrics_of(logits: np.ndarray, split: Split) -> Metrics:
    """Return the score of logits [N, classes] that were computed for every image of ``split``.

    It accepts logits that are not finite, which the proof of an exported file reports itself.
    """
    return Metrics(
        correct=int(np.sum(logits.argmax(axis=1) == split.labels)),
        count=len(split),
        cost=_cross_entropy(logits, split.labels),
        logits=logits,
    )


def _cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean softmax cross-entropy, NaN where logits are not finite."""
    with np.errstate(invalid="ignore"):
        # In float64: logits may be in the thousands.
        shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(shifted).sum(axis=1))
    return float(np.mean(log_sum - shifted[np.arange(len(labels)), labels]))
