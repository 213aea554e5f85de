from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from zoo.significance import p_values, spread


def test_every_pair_is_tested_and_corrected() -> None:
    groups = {
        "a": [0.0, 1.0, 2.0],
        "b": [0.5, 1.5, 2.8],
        "c": [9.0, 9.1, 9.3],
        "d": [3.0, 5.0, 9.0],
    }
    found = p_values(groups)
    single = {
        pair: stats.ttest_ind(*(groups[name] for name in pair), equal_var=False).pvalue
        for pair in found
    }
    ranked = sorted(found, key=single.__getitem__)
    assert len(ranked) == 6
    least = 0.0
    for left, pair in zip(range(6, 0, -1), ranked, strict=True):
        least = max(least, min(1.0, left * single[pair]))
        assert found[pair] == pytest.approx(least)


def test_chance_finds_a_difference_as_rarely_as_promised() -> None:
    random = np.random.default_rng(0)
    findings = sum(
        min(p_values({name: list(random.normal(size=5)) for name in "abcde"}).values()) < 0.05
        for _ in range(200)
    )
    # Without the correction about one in four studies finds one.
    assert findings < 20


@pytest.mark.parametrize("other", [[99.1], [99.2] * 3, [99.1] * 3])
def test_values_without_spread_are_not_tested(other: list[float]) -> None:
    assert np.std([99.1] * 3) > 0  # rounding; it is no spread
    (found,) = p_values({"a": [99.1] * 3, "b": other}).values()
    assert math.isnan(found)


def test_one_spread_is_enough() -> None:
    (found,) = p_values({"a": [99.1] * 3, "b": [99.2, 99.3, 99.25]}).values()
    # t = 0.15 / (0.05 / sqrt(3)) with two degrees of freedom.
    assert found == pytest.approx(2 * stats.t.sf(3 * 3**0.5, 2))


def test_a_pair_that_cannot_be_tested_leaves_the_others_alone() -> None:
    groups = {"a": [1.0, 1.1], "b": [1.0], "c": [5.0, 5.2]}
    found = p_values(groups)
    welch = stats.ttest_ind(groups["a"], groups["c"], equal_var=False).pvalue
    assert found[frozenset("ac")] == pytest.approx(welch)
    assert math.isnan(found[frozenset("ab")])


def test_one_network_has_no_pair() -> None:
    assert p_values({"a": [1.0, 2.0]}) == {}


def test_a_spread_is_in_percent() -> None:
    assert spread([0.99, 0.98]) == "98.50 % ± 0.71"
    assert spread([0.99, 0.98], 1) == "98.5 % ± 0.7"
    assert spread([0.99]) == "99.00 %"
