from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from zoo.data.splits import Split
from zoo.errors import DivergedError
from zoo.metrics import (
    Metrics,
    calibration_error,
    class_counts,
    compute_metrics,
    evaluate,
    wilson_interval,
)
from zoo.util import atomic

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


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_refused(value: float) -> None:
    broken = LOGITS.copy()
    broken[3, 0] = value
    with pytest.raises(DivergedError, match="not finite for 1 of 5 test images"):
        evaluate(lambda images: broken[images.ravel()], SPLIT)
    # The proof of an exported file counts them, to report them with its other errors.
    assert compute_metrics(broken, SPLIT).count == 5


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_no_json_file_holds_what_json_cannot(value: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        atomic.write_json(tmp_path / "a.json", {"cost": value})
    assert not list(tmp_path.iterdir())


# R. G. Newcombe, Two-sided confidence intervals for the single proportion, 1998, table I.
@pytest.mark.parametrize(
    ("correct", "count", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (20, 20, 0.8389, 1)],
)
def test_the_interval_is_the_published_one(
    correct: int, count: int, low: float, high: float
) -> None:
    assert wilson_interval(correct, count) == pytest.approx((low, high), abs=5e-5)


def test_each_class_is_counted() -> None:
    metrics = compute_metrics(np.pad(LOGITS, ((0, 0), (0, 1)), constant_values=-9000), SPLIT)
    assert class_counts(metrics, SPLIT.labels) == [(1, 2), (2, 3), (0, 0)]


def test_the_calibration_error_is_that_of_the_bins() -> None:
    # Two images share the bin from 13/15 to 14/15, one is in the bin from 9/15 to 10/15.
    confidence = np.array([0.9, 0.92, 0.61])
    logits = np.stack([np.log(confidence), np.log(1 - confidence)], axis=1).astype(np.float32)
    metrics, labels = Metrics(2, 3, 0.0, logits), np.array([0, 1, 0])
    expected = 2 / 3 * abs((0.9 + 0.92) / 2 - 1 / 2) + 1 / 3 * abs(0.61 - 1)
    assert calibration_error(metrics, labels) == pytest.approx(expected, abs=1e-6)


def test_certainty_that_is_right_is_calibrated() -> None:
    certain = Metrics(1, 1, 0.0, np.array([[0, 5000]], np.float32))
    assert calibration_error(certain, np.array([1])) == 0
    assert calibration_error(certain, np.array([0])) == 1
