from __future__ import annotations

import numpy as np
import pytest

from zoo.metrics import evaluate
from zoo.splits import Split

SPLIT = Split("test", np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1), np.array([0, 1, 0, 1, 1]))
LOGITS = np.array([[2, 0], [0, 2], [0, 2], [0, 0], [-3000, 3000]], np.float32)


def test_every_image_counts_once_the_short_last_batch_included() -> None:
    sizes: list[int] = []

    def predict_fn(images: np.ndarray) -> np.ndarray:
        sizes.append(len(images))
        return LOGITS[images.ravel()]

    metrics = evaluate(predict_fn, SPLIT, batch_size=2)
    assert sizes == [2, 2, 1]
    assert (metrics.correct, metrics.count, metrics.accuracy) == (3, 5, 0.6)
    np.testing.assert_array_equal(metrics.logits, LOGITS)
    right, wrong = np.log1p(np.exp(-2.0)), np.log1p(np.exp(2.0))
    assert metrics.cost == pytest.approx((2 * right + wrong + np.log(2)) / 5)
