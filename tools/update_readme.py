r"""Write the README's measured tables from the bundles and runs that measured them.

    python -m tools.update_readme --bundle exports/ltfn5/1 --run runs/ltfn5 --run runs/post \
        --study studies/quick --bench

Each ``--bundle`` fills the table of its data set, each ``--run`` the line of its recipe,
``--study`` that of the networks, ``--bench`` that of the speeds from ``tools/bench/results``.
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
from pathlib import Path
from typing import Any

from tools.bench import results
from zoo.runs import Run

README = Path(__file__).parent.parent / "README.md"


def main() -> None:
    """Replace the blocks between the markers."""
    parser = argparse.ArgumentParser(description="Write the README's measured tables.")
    parser.add_argument("--bundle", type=Path, action="append", default=[])
    parser.add_argument("--run", type=Path, action="append", default=[])
    parser.add_argument("--study", type=Path)
    parser.add_argument("--bench", action="store_true")
    arguments = parser.parse_args()
    text = README.read_text(encoding="utf-8")
    for bundle in arguments.bundle:
        manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
        text = _replace(text, manifest["data"]["name"], _bundle_table(bundle, manifest))
    if arguments.run:
        runs = [Run(folder).read_result() for folder in arguments.run]
        text = _replace(text, "recipes", _recipe_table(_block(text, "recipes"), runs))
    if arguments.study:
        text = _replace(text, "study", _study_table(arguments.study))
    if arguments.bench:
        text = _replace(text, "bench", _bench_table())
    README.write_text(text, encoding="utf-8")


def _block(text: str, name: str) -> str:
    found = re.search(rf"<!-- generated: {name} -->\n(.*?)<!-- end -->", text, re.DOTALL)
    assert found, f"the README has no block called {name}"
    return found[1]


def _replace(text: str, name: str, content: str) -> str:
    pattern = rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)"
    text, count = re.subn(pattern, lambda m: f"{m[1]}{content}\n{m[2]}", text, flags=re.DOTALL)
    assert count == 1, f"the README has {count} blocks called {name}"
    return text


def _bundle_table(bundle: Path, manifest: dict[str, Any]) -> str:
    """Return the table of the bundle's own card, and where it was measured."""
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


def _study_table(folder: Path) -> str:
    """Return the table of a study, and how and where it was made."""
    rows = (folder / "table.md").read_text(encoding="utf-8").strip()
    run = Run(next(iter(sorted(folder.glob("*-seed0"))))).read_result()
    recipe = run["recipe"]
    return (
        f"{rows}\n\n({_place(run)}; {run['data']['name']}, recipe `{recipe['name']}`, "
        f"{run['steps']:,} steps of {recipe['batch_size']} in {run['precision']})"
    )


def _recipe_table(block: str, runs: list[dict[str, Any]]) -> str:
    """Return the table of recipes with the lines of these runs put in or replaced."""
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


def _bench_table() -> str:
    """Return the headlines of every benchmark, and where they were measured."""
    kept = [results.load(item) for item in results.kept()]
    rows = [list(line) for result in kept for line in result["headlines"].items()]
    places = sorted({results.place(result) for result in kept})
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
    main()
