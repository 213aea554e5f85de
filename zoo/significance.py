"""Means, standard deviations and tests of accuracies over several seeds."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence

from etils import epy

with epy.lazy_imports():
    from scipy import stats


def spread(accuracies: Sequence[float], digits: int = 2) -> str:
    """Return the mean and the standard deviation of accuracies in 0..1, in percent, as text."""
    each = [100 * accuracy for accuracy in accuracies]
    text = f"{statistics.mean(each):.{digits}f} %"
    return f"{text} ± {deviation(each):.{digits}f}" if len(each) > 1 else text


def deviation(values: Sequence[float]) -> float:
    """Return the sample standard deviation, 0 for a single value."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


def p_values(groups: Mapping[str, Sequence[float]]) -> dict[frozenset[str], float]:
    """Return the p-value of the difference of two means, for every pair of groups.

    Welch's t-test does not assume that the groups vary equally. Holm's correction keeps the
    probability of any false finding among all pairs at about the threshold that one applies, or
    below; so the best group may be chosen after the fact.

    Args:
        groups: the values of each group, such as the accuracies of a network's seeds.

    Returns:
        A number in 0..1 for each pair of names; NaN if their values cannot be tested, because one
        group has a single value or neither has any spread.

    Source: S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979.
    """
    single = {
        frozenset(pair): _welch(*(groups[name] for name in pair))
        for pair in itertools.combinations(groups, 2)
    }
    tested = sorted(
        (pair for pair in single if not math.isnan(single[pair])), key=single.__getitem__
    )
    corrected = single
    least = 0.0
    for tests_left, pair in zip(range(len(tested), 0, -1), tested, strict=True):
        least = max(least, min(1.0, tests_left * single[pair]))
        corrected = corrected | {pair: least}
    return corrected


def behind(groups: Mapping[str, Sequence[float]]) -> dict[str, str]:
    """Return how far the mean of each group is behind the best, with the p-value, best first.

    Args:
        groups: the accuracies of each group in percent.

    Returns:
        A text for each name, which is empty for the best.
    """
    means = {name: statistics.mean(values) for name, values in groups.items()}
    best, *others = sorted(groups, key=lambda name: -means[name])
    found = p_values(groups)
    return {best: ""} | {
        name: _verdict(means[best] - means[name], found[frozenset((best, name))]) for name in others
    }


def _verdict(points: float, p_value: float) -> str:
    if math.isnan(p_value):
        return f"{points:.2f} points, not testable"
    return f"{points:.2f} points, p {'< 0.001' if p_value < 0.001 else f'= {p_value:.3f}'}"


def _welch(first: Sequence[float], second: Sequence[float]) -> float:
    if min(len(first), len(second)) < 2 or len({*first}) == len({*second}) == 1:
        return float("nan")
    # scipy's function of the values themselves warns if those of one group are equal.
    facts = ((statistics.mean(each), deviation(each), len(each)) for each in (first, second))
    return float(stats.ttest_ind_from_stats(*itertools.chain(*facts), equal_var=False).pvalue)
