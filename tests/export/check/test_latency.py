"""Test that an image's time is measured in whole batches."""

from __future__ import annotations

import numpy as np
import pytest

from export.check import latency


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_the_time_is_that_of_an_image_in_a_batch(
    batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, sizes = 0.0, []

    def predict_fn(images: np.ndarray) -> np.ndarray:
        nonlocal now
        now += 6.0  # seconds for a batch, however many images it has
        sizes.append(len(images))
        return images

    monkeypatch.setattr("time.perf_counter", lambda: now)
    assert latency._microseconds(latency._timed(predict_fn), np.zeros((8, 1)), batch) == 6e6 / batch
    assert set(sizes) == {batch}
