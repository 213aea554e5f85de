"""The training of the post repeated with several seeds, and what its next posts change."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib import figure

from tools.results import place_of
from zoo.runs import records

RECIPES = ("post", "he", "adam", "crop")
"""The recipes of the post and of the posts after it, in their order."""

_STEPS = (0, 100, 200, 4_900)
# What the post prints.
_REPORTED_COSTS = (979_579, 174_063, 95_255, 16_117)
_REPORTED_TEST_COST = 15_083
_REPORTED_ACCURACY = 0.8188


@dataclass(frozen=True)
class Course:
    """One training.

    Attributes:
        result: the fields of its ``result.json``.
        costs: the cost of each batch that was logged, by its step.
    """

    result: dict[str, Any]
    costs: dict[int, float]


def is_course(result: dict[str, Any]) -> bool:
    """Return whether a training is by one of these recipes, on MNIST and as long as the post's."""
    name = result["recipe"]["name"]
    return name in RECIPES and result["data"]["name"] == "mnist" and result["steps"] > _STEPS[-1]


def read(results: Iterable[Path]) -> list[list[Course]]:
    """Return the trainings by these recipes, one list for each network, recipe and place.

    A place is a processor and a precision.

    Args:
        results: kept ``result.json`` files; the metrics of a training are in the same folder.
    """
    groups: dict[tuple[str, int, str, str], list[Course]] = {}
    for path in results:
        result = records.read_result(path)
        if is_course(result):
            rows = records.read_metrics(metrics_of(path))
            costs = {row["step"]: row["cost"] for row in rows if "cost" in row}
            position = RECIPES.index(result["recipe"]["name"])
            key = (result["model"], position, records.described(result), place_of(result))
            groups.setdefault(key, []).append(Course(result, costs))
    return [groups[key] for key in sorted(groups)]


def metrics_of(result: Path) -> Path:
    """Return where the metrics of a kept result lie."""
    return result.with_suffix(".jsonl")


def table(groups: Sequence[Sequence[Course]]) -> str:
    """Return a row for the post and for each group: means, and the range of the seeds.

    The costs at a step are those of one batch.
    """
    lines = [
        f"| network | recipe | seeds | {' | '.join(f'cost at step {at:,}' for at in _STEPS)} "
        "| test cost | test accuracy | machine |",
        "|---" * (6 + len(_STEPS)) + "|",
        _row(
            ("the post reports", "", "1"),
            [[cost] for cost in _REPORTED_COSTS],
            [_REPORTED_TEST_COST],
            [_REPORTED_ACCURACY],
            "",
        ),
    ]
    for group in groups:
        first = group[0].result
        lines.append(
            _row(
                (f"`{first['model']}`", f"`{records.described(first)}`", f"{len(group)}"),
                [[each.costs[step] for each in group] for step in _STEPS],
                [each.result["test_cost"] for each in group],
                [each.result["test_accuracy"] for each in group],
                place_of(first),
            )
        )
    return "\n".join(lines)


def _row(
    names: tuple[str, ...],
    costs: Sequence[Sequence[float]],
    test_costs: Sequence[float],
    accuracies: Sequence[float],
    place: str,
) -> str:
    shown = [_range(each, _cost) for each in (*costs, test_costs)]
    return f"| {' | '.join([*names, *shown, _range(accuracies, _percent), place])} |"


def _range(values: Sequence[float], shown: Callable[[float], str]) -> str:
    """Return the mean, and of several values the smallest and the largest."""
    mean = shown(statistics.mean(values))
    return mean if len(values) == 1 else f"{mean} ({shown(min(values))} to {shown(max(values))})"


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"


def _cost(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def picture(groups: Sequence[Sequence[Course]]) -> figure.Figure:
    """Draw the cost of each recipe over the steps: the mean of the seeds, and their range."""
    drawn = figure.Figure(figsize=(8, 4.5), layout="constrained")
    axes = drawn.subplots()
    for group in groups:
        first = group[0].result
        steps = sorted(set.intersection(*(set(each.costs) for each in group)))
        of_step = [[each.costs[step] for each in group] for step in steps]
        label = f"{first['model']}, {records.described(first)}"
        (line,) = axes.plot(steps, [statistics.mean(each) for each in of_step], lw=1, label=label)
        least, most = zip(*((min(each), max(each)) for each in of_step), strict=True)
        axes.fill_between(steps, least, most, color=line.get_color(), alpha=0.25, lw=0)
    axes.plot(_STEPS, _REPORTED_COSTS, "kx", label="the post reports")
    axes.set(xlabel="step", ylabel="cost of the batch", ylim=(0, None))
    axes.set_yscale("symlog", linthresh=1)  # a batch without an error may cost 0
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return drawn
