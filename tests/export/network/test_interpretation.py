"""Test when one assumption about a user's network counts as better than another."""

from __future__ import annotations

import numpy as np
import pytest

from export.network.interpretation import Reading, beats, is_better


def _first(count: int, of: int = 200) -> np.ndarray:
    """Return which pictures are classified correctly, bool [of]: the first ``count``."""
    return np.arange(of) < count


def _reading(right: int, *, reordered: int = 0, cost: float = 1.0) -> Reading:
    return Reading("0..1", _first(right), _first(reordered), np.arange(3), cost)


@pytest.mark.parametrize(
    ("one", "other", "better"),
    [(180, 60, True), (180, 169, True), (180, 172, False), (180, 180, False), (60, 180, False)],
)
def test_more_right_answers_count_unless_they_may_be_chance(
    one: int, other: int, better: bool
) -> None:
    assert is_better(_first(one), _first(other)) == better
    assert beats(_reading(one), _reading(other)) == better


def test_as_many_right_answers_at_half_the_cost_are_better() -> None:
    assert beats(_reading(180, cost=0.2), _reading(180, cost=0.5))
    assert not beats(_reading(180, cost=0.3), _reading(180, cost=0.5))
    # Both are confident and correct.
    assert not beats(_reading(180, cost=0.001), _reading(180, cost=0.04))
    assert not beats(_reading(60, cost=0.2), _reading(180, cost=0.5))


@pytest.mark.parametrize(
    ("right", "reordered", "other"),
    [(10, 190, True), (10, 110, True), (10, 90, False), (190, 10, False), (120, 124, False)],
)
def test_another_order_of_the_classes_is_one_in_which_the_network_is_good(
    right: int, reordered: int, other: bool
) -> None:
    reading = _reading(right, reordered=reordered)
    assert reading.other_order == other
    assert reading.best.sum() == (reordered if other else right)
