from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from tests.conftest import ROOT
from zoo.data import batches
from zoo.data.batches import training_batches
from zoo.data.splits import Split


def _numbered(count: int) -> Split:
    labels = np.arange(count)
    return Split("train", labels.astype(np.uint8).reshape(count, 1, 1, 1), labels)


def _labels(**options: int | bool) -> list[list[int]]:
    settings: dict[str, Any] = {"batch_size": 4, "steps": 5, "seed": 3, "shuffle": True} | options
    stream = training_batches(_numbered(10), **settings)
    return [labels.numpy().tolist() for _, labels in stream]


def test_batches_in_stored_order_cross_the_epochs() -> None:
    assert _labels(shuffle=False) == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9, 0, 1],
        [2, 3, 4, 5],
        [6, 7, 8, 9],
    ]


def test_shuffled_epochs_hold_each_image_once_and_differ() -> None:
    order = [label for batch in _labels() for label in batch]
    assert sorted(order[:10]) == sorted(order[10:]) == list(range(10))
    assert order[:10] != order[10:]
    assert _labels(seed=4) != _labels()


def test_batches_go_on_where_they_stopped() -> None:
    assert _labels(start=2) == _labels()[2:]


def test_an_epochs_order_is_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    def order(count: int, seed: int, shuffle: bool, epoch: int) -> np.ndarray:
        drawn.append(epoch)
        return np.arange(count)

    monkeypatch.setattr(batches, "_order", order)
    _labels(steps=7)
    assert drawn == [0, 1, 2]


def test_a_process_may_end_before_its_last_batch() -> None:
    code = """
import numpy as np
from zoo.data import batches, splits
images = np.zeros((10, 400, 400, 1), np.uint8)  # so large that one is on its way at the end
split = splits.Split("train", images, np.arange(10))
stream = iter(batches.training_batches(split, batch_size=100, steps=10**9, seed=0, shuffle=True))
print(len(next(stream)[1]))
"""
    line = [sys.executable, "-c", code]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout == "100\n"


def test_images_and_labels_stay_together() -> None:
    for images, labels in training_batches(
        _numbered(10), batch_size=3, steps=7, seed=0, shuffle=True
    ):
        np.testing.assert_array_equal(images[:, 0, 0, 0], labels)
