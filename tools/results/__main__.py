"""Keep results, and write the tables and figures of the trained networks from all that are kept.

    python -m tools.results [--add RUN ...] [--bundle BUNDLE ...]

The ``result.json`` of each run is copied to ``tools/results/runs``, with the metrics of a training
by the post's recipes; what the export of a network of the package measured is written to its folder
in ``zoo/weights``.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib import figure

from export import formats
from tools import update_tables
from tools.results import downsampling, figures, place_of, post, transfer
from zoo import cli, compare, significance
from zoo.bundles import integrity
from zoo.errors import InputError
from zoo.models import registry
from zoo.runs import Run, records
from zoo.util import atomic
from zoo.weights import exported, released, released_folder

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
CSV = DOCS / "results.csv"
FOLDER = Path(__file__).parent / "runs"
AIMS = {"ltfn5": 99.75, "compact-40k": 99.70, "compact-10k": 99.60, "compact-4k": 99.45}
"""Mean test accuracies in percent that the best networks of their size should have."""


def main(argv: Sequence[str]) -> None:
    """Add runs and bundles, and write the tables and figures.

    Raises:
        InputError: a run or bundle cannot be added, a network of the package lacks its export, or
            the exports were measured on several kinds of processors; nothing but what was added is
            written.
    """
    parser = cli.Parser(
        "tools.results", "Keep results, and write their tables.", example="--add runs/ltfn5"
    )
    for option, metavar in (("--add", "RUN"), ("--bundle", "BUNDLE")):
        parser.add_argument(
            option, action="extend", nargs="+", type=Path, default=[], metavar=metavar
        )
    arguments = parser.parse_args(argv)
    for folder in arguments.add:
        add(Run(folder))
    for folder in arguments.bundle:
        add_bundle(folder)
    without = [name for name in released() if not _exported_file(name).exists()]
    if without or not released():
        raise InputError(f"add an export of {', '.join(without) or 'a network'} with --bundle")
    formats_text, drawn, blocks = table_of_formats(), pictures(), tables()
    CSV.write_text(formats_text, encoding="utf-8")
    for name, picture in drawn.items():
        figures.save(picture, DOCS / "figures" / name)
    for name, table in blocks.items():
        update_tables.write_block(name, table)


def add(run: Run) -> Path:
    """Copy the result of a finished run; return the path of the copy.

    Raises:
        InputError: the run is not on MNIST, or another result of its seed is kept.
    """
    result = run.read_result()
    if result["data"]["name"] != "mnist":
        raise InputError(f"{run.folder} was trained on {result['data']['name']}, not on mnist")
    place = {"trial": _trial(result), "processor": result["machine"]["processor"]}
    name = f"{result['model']}-{records.digest(place)[:8]}-seed{result['seed']}.json"
    target = FOLDER / name
    if target.exists() and records.read_result(target)["weights"] != result["weights"]:
        raise InputError(
            f"{target.name} has the same settings as {run.folder}, but other weights; remove it to "
            "replace it"
        )
    FOLDER.mkdir(exist_ok=True)
    if post.is_course(result):
        shutil.copyfile(run.metrics, post.metrics_of(target))
    records.write(target, records.without_paths(result))
    return target


def _trial(result: dict[str, Any]) -> dict[str, Any]:
    """Return what defines a trial, whatever its seed and machine."""
    own = {key: result[key] for key in ("model", "precision")}
    return own | compare.experiment_of(result)


def add_bundle(folder: Path) -> None:
    """Keep what the export of a network of the package measured of each format.

    Raises:
        InputError: the bundle is of other weights, was verified on other images or within other
            bounds, was fine-tuned, or lacks a format.
    """
    manifest = integrity.open_bundle(folder).manifest
    name, origin = manifest["model"], manifest["origin"].get("run")
    facts = released().get(name)
    if not facts or not origin or origin["weights"]["sha256"] != facts["sha256"]:
        raise InputError(f"{folder} is not an export of a network of the package")
    found = {each["format"] for each in manifest["artifacts"]}
    if missing := formats.FORMATS.keys() - found - {"microcontroller"}:
        raise InputError(f"{folder} lacks {', '.join(sorted(missing))}; export with --formats all")
    if manifest["finetuned"] or manifest["loosened"]:
        raise InputError(f"{folder} was exported with other weights or bounds than usual")
    if manifest["data"]["name"] != facts["dataset"]:
        raise InputError(f"{folder} was not verified on {facts['dataset']}")
    board = manifest["microcontroller"]
    if not board:
        raise InputError(f"{folder} has no library for microcontrollers; export again")
    rows = []
    for each in manifest["artifacts"]:
        arena = board["arena_bytes"]["cmsis_nn"] if each["format"] == "int8" else None
        flash = board["model_bytes"] + board["code_bytes"] if each["format"] == "int8" else None
        rows.append(
            {key: each[key] for key in ("format", "test_correct", "test_count", "bytes")}
            | {"changed": each["test_count"] - each["agreeing"]}
            | {"flash_bytes": flash, "arena_bytes": arena}
            | {"microseconds": round(each["microseconds"], 1)}
        )
    processor = manifest["machine"]["processor"]
    measured = {"sha256": facts["sha256"], "processor": processor, "formats": rows}
    atomic.write_json(_exported_file(name), measured)
    exported.cache_clear()


def _exported_file(name: str) -> Path:
    return released_folder(name) / "exported.json"


def pictures() -> dict[str, figure.Figure]:
    """Return the figures by the names of their files."""
    return {
        "results.svg": figures.accuracies(exported()),
        "downsampling.svg": compare.plot(downsampling.study(kept())),
        "post.svg": post.picture(post.read(_kept_files())),
    } | ({"transfer.svg": transfer.draw(tuned)} if (tuned := transfer.kept()) else {})


def table_of_formats() -> str:
    """Return a row for each network of the package and format, as CSV."""
    written = io.StringIO()
    rows = []
    for row in exported():
        facts, costs = released()[row["network"]], registry.get_costs(row["network"])
        each = [100 * accuracy for accuracy in facts["accuracies"]]
        rows.append(
            row
            | {"test_accuracy": round(100 * row["test_correct"] / row["test_count"], 4)}
            | {"keras_mean_accuracy": round(statistics.mean(each), 4)}
            | {"keras_standard_deviation": _deviation(each)}
            | {"keras_seeds": len(each)}
            | {"parameters": costs.parameters, "multiply_adds": costs.multiply_adds}
            | {"dataset": facts["dataset"], "recipe": facts["recipe"]}
        )
    table = csv.DictWriter(written, rows[0], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return written.getvalue()


def _deviation(percents: Sequence[float]) -> float | None:
    return round(significance.deviation(percents), 4) if len(percents) > 1 else None


def kept() -> list[dict[str, Any]]:
    """Return the results that are kept."""
    return [records.read_result(path) for path in _kept_files()]


def _kept_files() -> list[Path]:
    return sorted(FOLDER.glob("*.json"))


def tables() -> dict[str, str]:
    """Return the generated tables by the names of their blocks."""
    results = kept()
    study = downsampling.study(results)
    return {
        "trained": _trained_table(),
        "released": _released_table(),
        "trials": _trials_table(results),
        "downsampling": downsampling.table(study),
        "downsampling-int8": downsampling.table_of_files(study),
        "post": post.table(post.read(_kept_files())),
    } | ({"transfer": transfer.table(tuned)} if (tuned := transfer.kept()) else {})


def _trained_table() -> str:
    """Return the short table of the networks in the package."""
    rows = [
        "| trained network | parameters | test accuracy | in int8 | int8 file |",
        "|---|---|---|---|---|",
    ]
    for row in exported():
        if row["format"] == "int8":
            name = row["network"]
            cells = (
                f"`{name}`",
                f"{registry.get_costs(name).parameters:,}",
                _accuracy(released()[name]),
                _accuracy(row),
                f"{row['bytes'] / 1e3:,.0f} kB",
            )
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _released_table() -> str:
    """Return the table of the networks in the package."""
    rows = [
        "| network | test accuracy | mean of all seeds | aim | seeds | recipe | size |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, facts in released().items():
        each = facts["accuracies"]
        cells = (
            f"`{name}`",
            f"{_accuracy(facts)} ({facts['test_correct']:,}/{facts['test_count']:,})",
            significance.spread(each),
            f"{AIMS[name]:.2f} %" if name in AIMS else "",
            str(len(each)),
            f"`{facts['recipe']}`",
            f"{facts['bytes'] / 1e3:,.0f} kB",
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _trials_table(results: list[dict[str, Any]]) -> str:
    """Return a row for each network and recipe, the best mean validation accuracy first."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        groups.setdefault(json.dumps(_trial(result)), []).append(result)
    rows = [
        "| network | recipe | runs | validation accuracy | test accuracy | training | machine |",
        "|---|---|---|---|---|---|---|",
    ]
    for group in sorted(groups.values(), key=_order):
        cells = (
            f"`{group[0]['model']}`",
            f"`{records.described(group[0])}`",
            str(len(group)),
            significance.spread([each["validation_accuracy"] for each in group]),
            significance.spread([each["test_accuracy"] for each in group]),
            f"{statistics.mean(each['seconds'] for each in group):,.0f} s",
            ", ".join(sorted({place_of(each) for each in group})),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _order(group: list[dict[str, Any]]) -> tuple[str, float]:
    return group[0]["model"], -statistics.mean(each["validation_accuracy"] for each in group)


def _accuracy(facts: dict[str, Any]) -> str:
    return f"{100 * facts['test_correct'] / facts['test_count']:.2f} %"


if __name__ == "__main__":
    cli.run("tools.results", main)
