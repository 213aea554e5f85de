"""Means, deviations and tests of accuracies over several seeds."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from etils import epy

with epy.lazy_imports():
    from scipy import stats


def deviation(values: Sequence[float]) -> float:
    """Return the sample standard deviation, 0 for a single value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def p_values(groups: Mapping[str, Sequence[float]]) -> dict[frozenset[str], float]:
    """Return the p-value of the difference of two means, for every pair of groups.

    Welch's t-test does not assume that the groups vary equally. Holm's correction keeps the
    probability of any false finding among all pairs below the threshold that one applies; so the
    best group may be chosen after the fact.

    Args:
        groups: the values of each group, such as the accuracies of a network's seeds.

    Returns:
        A number in 0..1 for each pair of names; NaN if their values cannot be tested, because one
        group has a single value or neither has any spread.

    Source: S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979.
    """
    pairs = [frozenset(pair) for pair in itertools.combinations(groups, 2)]
    single = np.array([_welch(*(groups[name] for name in pair)) for pair in pairs])
    order = np.argsort(single)  # NaN last
    corrected = np.empty(len(pairs))
    tests_left = np.arange(len(pairs), 0, -1)
    corrected[order] = np.minimum(1, np.maximum.accumulate(single[order] * tests_left))
    return dict(zip(pairs, map(float, corrected), strict=True))


def _welch(first: Sequence[float], second: Sequence[float]) -> float:
    if min(len(first), len(second)) < 2 or deviation(first) == deviation(second) == 0:
        return float("nan")
    return float(stats.ttest_ind(first, second, equal_var=False).pvalue)
