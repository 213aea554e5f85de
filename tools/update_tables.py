r"""Write the tables of results of the README and the documentation.

    python -m tools.update_tables --bundle exports/ltfn5/1 --run runs/ltfn5 --run runs/post \
        --bench --faults

Each ``--bundle`` updates the table of its dataset, MNIST or the digits, each ``--run`` the row of
its recipe on MNIST; both must be of ltfn5, trained by an unchanged recipe. ``--bench`` updates the
tables made from ``tools/bench/results``, and ``--faults`` that of ``tools/faults/results``.
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.bench import results
from tools.faults import harness
from zoo import cli, recipes
from zoo.errors import InputError
from zoo.models import registry
from zoo.runs import Run, records

_NETWORK = "ltfn5"
_BATCH = 100  # images
_LINK = 10e9 / 8  # bytes a second
ROOT = Path(__file__).parent.parent

PAGES = {
    "digits": "README.md",
    "speed": "README.md",
    "trained": "README.md",
    "mnist": "docs/benchmarks.md",
    "recipes": "docs/benchmarks.md",
    "bench": "docs/benchmarks.md",
    "workers": "docs/distributed.md",
    "memory": "docs/distributed.md",
    "gradients": "docs/distributed.md",
    "faults": "docs/reliability.md",
    "released": "docs/results.md",
    "trials": "docs/results.md",
    "downsampling": "docs/results.md",
    "downsampling-int8": "docs/results.md",
    "post": "docs/results.md",
    "transfer": "docs/results.md",
}
"""The page that holds each generated block; those of trained networks are made by tools.results."""


def main(argv: Sequence[str]) -> None:
    """Replace the generated blocks that the arguments update.

    Raises:
        InputError: a run or bundle is of another network, dataset or recipe than its table.
    """
    parser = argparse.ArgumentParser(
        description="Write the tables of results of the README and the documentation."
    )
    parser.add_argument("--bundle", type=Path, action="append", default=[])
    parser.add_argument("--run", type=Path, action="append", default=[])
    parser.add_argument("--bench", action="store_true")
    parser.add_argument("--faults", action="store_true")
    arguments = parser.parse_args(argv)
    for bundle in arguments.bundle:
        manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
        dataset, run = manifest["data"]["name"], manifest["origin"].get("run")
        if not run or dataset not in ("digits", "mnist"):
            raise InputError(f"{bundle} is not the export of a run, verified on digits or mnist")
        _check(bundle, run, dataset)
        write_block(dataset, _bundle_table(bundle, manifest))
    if arguments.run:
        runs = {folder: Run(folder).read_result() for folder in arguments.run}
        for folder, result in runs.items():
            _check(folder, result, "mnist")
        write_block("recipes", _recipe_table(read_block("recipes"), list(runs.values())))
    if arguments.bench:
        write_block("speed", _speed_table())
        write_block("bench", _bench_table())
        for item in ("workers", "memory"):
            write_block(item, _item_table(item))
        write_block("gradients", _gradients_table())
    if arguments.faults:
        write_block("faults", harness.table())


def _check(folder: Path, run: dict[str, Any], dataset: str) -> None:
    """Check that a training is one that a table may have.

    Raises:
        InputError: it is of another network, on another dataset, or its recipe was changed.
    """
    name, data, recipe = run["model"], run["data"]["name"], records.described(run)
    if (name, data) != (_NETWORK, dataset) or recipe not in recipes.RECIPES:
        raise InputError(
            f"{folder} is of {name}, trained on {data} by the recipe {recipe}; the table has "
            f"{_NETWORK}, trained on {dataset} by one of {', '.join(recipes.RECIPES)}"
        )


def read_block(name: str) -> str:
    """Return the content of a generated block."""
    _, match = _find_block(name)
    return match[1]


def write_block(name: str, content: str) -> None:
    """Replace the content of a generated block in its page."""
    page, match = _find_block(name)
    start, end = match.span(1)
    text = f"{match.string[:start]}{content}\n{match.string[end:]}"
    page.write_text(text, encoding="utf-8")


def _find_block(name: str) -> tuple[Path, re.Match[str]]:
    """Return the page of a block, and the match whose group 1 is the block's content."""
    assert name in PAGES, f"no page has a generated block named {name}"
    page = ROOT / PAGES[name]
    pattern = rf"<!-- generated: {name} -->\n(.*?)<!-- end -->"
    found = list(re.finditer(pattern, page.read_text(encoding="utf-8"), re.DOTALL))
    assert len(found) == 1, f"{page} has {len(found)} generated blocks named {name}"
    return page, found[0]


def _bundle_table(bundle: Path, manifest: dict[str, Any]) -> str:
    """Return the table of the bundle's card, and how and where it was measured."""
    card = (bundle / "README.md").read_text(encoding="utf-8")
    rows = re.search(r"\n\n(\| file .*?)\n\n", card, re.DOTALL)
    assert rows
    run = manifest["origin"]["run"]
    return "\n".join(
        [
            rows[1],
            "",
            f"({_place(manifest)}; recipe `{run['recipe']['name']}`, {run['steps']:,} steps in "
            f"{run['precision']}, seed {run['seed']}; one image on one thread)",
        ]
    )


def _recipe_table(block: str, runs: list[dict[str, Any]]) -> str:
    """Return the table of recipes with the rows of these runs added or replaced."""
    head, rule, *lines = re.findall(r"^\|.*$", block, re.MULTILINE)
    kept = {line.split("|")[1].strip(): line for line in lines}
    for run in runs:
        name = f"`{run['recipe']['name']}`"
        cells = (
            name,
            f"{run['steps']:,} of {run['recipe']['batch_size']}",
            run["precision"],
            f"{100 * run['test_accuracy']:.2f} %",
            _cost(run["test_cost"]),
            f"{run['seconds'] / 60:.0f} min",
            f"{run['images_per_second']:,.0f}",
            f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
        )
        kept[name] = f"| {' | '.join(cells)} |"
    return "\n".join(
        [head, rule, *kept.values(), "", f"({_place(runs[-1])}; seed {runs[-1]['seed']})"]
    )


def _speed_table() -> str:
    """Return a few of the benchmarks' headlines, and where they were measured."""
    items = ("answer", "latency", "training", "time-to-99")
    found = {item: results.load(item) for item in items}
    values = {item: list(result["headlines"].values()) for item, result in found.items()}
    bundle, run = values["answer"]
    int8, float32, _ = values["latency"]
    stock, _, fastest, _ = values["training"]
    (example,) = values["time-to-99"]
    rows = [
        ["`zoo.predict`, whole process", f"{bundle} with a bundle, {run} with a run"],
        ["one image on one thread, LiteRT", f"{int8} in int8, {float32} in float32"],
        [
            "training with `--precision auto`, compared with Keras `fit`",
            f"{stock} times Keras in float32, {fastest} times Keras in its faster format",
        ],
        [
            "time to 99 % on MNIST",
            f"the faster of two published examples takes {example} times as long as `compact-40k`",
        ],
    ]
    return _with_places(rows, list(found.values()))


def _bench_table() -> str:
    """Return the headlines of every benchmark, and where they were measured."""
    kept = [results.load(item) for item in results.kept()]
    rows = [list(line) for result in kept for line in result["headlines"].items()]
    return _with_places(rows, kept)


def _item_table(item: str) -> str:
    """Return the table of a benchmark, and how and where it was measured."""
    result = results.load(item)
    table = results.table(result["columns"], result["rows"])
    return f"{table}\n\n{result['notes']}\n\n({results.place(result)})"


def _gradients_table() -> str:
    """Return what a step of each network computes, and what its workers send to each other."""
    rows = []
    for model in registry.list_models():
        costs = registry.get_costs(model)
        sent, computed = 4 * costs.parameters, _BATCH * costs.multiply_adds
        cells = (sent, computed / 1e6, computed / sent, 1000 * sent / _LINK)
        formats = ("{:,.0f}", "{:,.0f}", "{:,.0f}", "{:.2f}")
        rows.append(
            [model, *(form.format(cell) for form, cell in zip(formats, cells, strict=True))]
        )
    columns = [
        "network",
        "bytes of gradients",
        "millions of multiply-adds",
        "multiply-adds for a byte",
        "ms to send at 10 Gbit/s",
    ]
    return results.table(columns, rows)


def _with_places(rows: list[list[str]], measured: list[dict[str, Any]]) -> str:
    places = sorted({results.place(result) for result in measured})
    return f"{results.table(['what', 'measured'], rows)}\n\n({'; '.join(places)})"


def _cost(nats: float) -> str:
    return f"{nats:,.0f}" if nats >= 100 else f"{nats:.4f}"


def _place(facts: dict[str, Any]) -> str:
    machine, versions = facts["machine"], facts["versions"]
    return (
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {machine['processor']}, "
        f"{machine['cores']} cores, TensorFlow {versions['tensorflow']}, Keras {versions['keras']}"
    )


if __name__ == "__main__":
    cli.run("tools.update_tables", main)
