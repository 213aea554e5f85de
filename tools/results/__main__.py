"""Keep the results of finished runs, and write docs/results.md from all that are kept.

    python -m tools.results [--add RUN ...]

The ``result.json`` of each run is copied to ``tools/results/runs``.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo import cli, recipes
from zoo.errors import InputError
from zoo.runs import Run, find, records
from zoo.weights import released

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "results.md"
FOLDER = Path(__file__).parent / "runs"

# Left to the training machine; they change the last bits only.
_MACHINE = ("seed", "precision", "shards", "threads")


def main(argv: Sequence[str]) -> None:
    """Add runs, and write the page."""
    parser = cli.Parser(
        "tools.results", "Keep results, and write docs/results.md.", example="--add runs/ltfn5"
    )
    parser.add_argument("--add", nargs="+", type=Path, default=[], metavar="RUN")
    for folder in parser.parse_args(argv).add:
        add(Run(folder))
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def add(run: Run) -> Path:
    """Copy the result of a finished run; return the path of the copy."""
    result = run.read_result()
    name = f"{result['model']}-{records.digest(_settings(result))[:8]}-seed{result['seed']}.json"
    FOLDER.mkdir(exist_ok=True)
    return Path(shutil.copyfile(run.result, FOLDER / name))


def kept() -> list[dict[str, Any]]:
    """Return the results that are kept."""
    return [records.read_result(path) for path in sorted(FOLDER.glob("*.json"))]


def page(text: str) -> str:
    """Return the text of the page with its generated tables updated."""
    for name, content in (("released", _released_table()), ("trials", _trials_table(kept()))):
        start, end = f"<!-- generated: {name} -->\n", "<!-- end -->"
        before, found, rest = text.partition(start)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise InputError(f"{PAGE} has no generated part named {name}")
        text = f"{before}{start}{content}\n{end}{after}"
    return text


def _settings(result: dict[str, Any]) -> dict[str, Any]:
    """Return what defines a trial, whatever its seed and machine."""
    recipe = {key: value for key, value in result["recipe"].items() if key not in _MACHINE}
    return {
        "model": result["model"],
        "data": result["data"]["fingerprints"],
        "recipe": recipe,
        "start": result["start"],
    }


def _released_table() -> str:
    """Return the table of the networks in the package."""
    rows = [
        "| network | test accuracy | mean of all seeds | seeds | recipe | size |",
        "|---|---|---|---|---|---|",
    ]
    for name, facts in released().items():
        each = facts["accuracies"]
        correct, count = facts["test_correct"], facts["test_count"]
        cells = (
            f"`{name}`",
            f"{100 * correct / count:.2f} % ({correct:,}/{count:,})",
            _spread(each),
            str(len(each)),
            _described(find(name).read_result()),
            f"{facts['bytes'] / 1e3:,.0f} kB",
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _trials_table(results: list[dict[str, Any]]) -> str:
    """Return a row for each network and recipe, the best mean validation accuracy first."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        groups.setdefault(json.dumps(_settings(result)), []).append(result)
    rows = [
        "| network | recipe | seeds | validation accuracy | test accuracy | training | machine |",
        "|---|---|---|---|---|---|---|",
    ]
    for group in sorted(groups.values(), key=_order):
        cells = (
            f"`{group[0]['model']}`",
            _described(group[0]),
            str(len(group)),
            _spread([each["validation_accuracy"] for each in group]),
            _spread([each["test_accuracy"] for each in group]),
            f"{statistics.mean(each['seconds'] for each in group):,.0f} s",
            ", ".join(sorted({_machine(each) for each in group})),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _order(group: list[dict[str, Any]]) -> tuple[str, float]:
    return group[0]["model"], -statistics.mean(each["validation_accuracy"] for each in group)


def _described(result: dict[str, Any]) -> str:
    """Return the name of a recipe, the values that differ from it, and the weights at the start."""
    recipe = result["recipe"]
    usual = dataclasses.asdict(recipes.get_recipe(recipe["name"]))
    changed = [
        f"{key}={value}"
        for key, value in recipe.items()
        if key not in (*_MACHINE, "minimum_steps") and value not in (None, usual[key])
    ]
    if start := result["start"]:
        changed.append(f"weights={Path(start['weights']).name} freeze={start['freeze']}")
    return f"`{' '.join([recipe['name'], *changed])}`"


def _spread(accuracies: Sequence[float]) -> str:
    """Return the mean and the standard deviation of accuracies in 0..1."""
    each = [100 * accuracy for accuracy in accuracies]
    deviation = f" ± {statistics.stdev(each):.2f}" if len(each) > 1 else ""
    return f"{statistics.mean(each):.2f} %{deviation}"


def _machine(result: dict[str, Any]) -> str:
    return f"{result['machine']['processor']}, {result['precision']}"


if __name__ == "__main__":
    cli.run("tools.results", main)
