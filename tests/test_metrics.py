from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from zoo import files
from zoo.errors import DivergedError
from zoo.metrics import evaluate, metrics_of
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


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_refused(value: float) -> None:
    broken = LOGITS.copy()
    broken[3, 0] = value
    with pytest.raises(DivergedError, match="not finite for 1 of 5 test images"):
        evaluate(lambda images: broken[images.ravel()], SPLIT)
    # The proof of an exported file reports them with what else is wrong.
    assert metrics_of(broken, SPLIT).count == 5


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_no_json_file_holds_what_json_cannot(value: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "a.json", {"cost": value})
    assert not list(tmp_path.iterdir())
