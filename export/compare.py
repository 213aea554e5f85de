"""``python -m export.compare STUDY``: compare the files that the networks of a study become.

The runs of a study of ``zoo.compare`` are exported into its folder ``exports``, each once, so that
an interrupted command goes on where it stopped.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from export import formats
from export.bundle.publish import versions
from export.network.sources import open_run
from export.pipeline import Request, export_bundle
from zoo import cli, recipes, significance
from zoo.bundles import integrity
from zoo.compare import costs_of, plot_points
from zoo.errors import InputError, unknown
from zoo.runs import Run
from zoo.util import atomic, backend

_FORMATS = sorted(formats.FORMATS.keys() - {"microcontroller"})  # each is one file


def main(argv: Sequence[str]) -> None:
    """Export the runs of a study, then write the table and the plot."""
    parser = cli.Parser(
        "export.compare",
        "Compare the exported files of the networks of a study.",
        example="studies/quick --format int8",
        imports=True,
    )
    parser.add_argument("study", type=Path, metavar="STUDY", help="a folder of zoo.compare")
    parser.add_argument(
        "--format",
        default="int8",
        metavar="NAME",
        help=f"the format to compare: {', '.join(_FORMATS)} (default: %(default)s)",
    )
    cli.add_data_arguments(parser)
    arguments = parser.parse_args(argv)
    name, study = arguments.format, arguments.study
    if name not in _FORMATS:
        raise unknown("format", name, _FORMATS)
    request = Request(
        formats=formats.choose(name), required=formats.named(name), offline=arguments.offline
    )
    runs = _runs(study)
    backend.start_tensorflow()
    results: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        print(f"{run.folder.name}:")
        out = study / "exports" / run.folder.name
        file = _exported(run, name, request, out, **cli.data_options(arguments))
        result = run.read_result()
        results.setdefault(result["model"], []).append(result | {"file": file})
    text = table(results, name)
    with atomic.staged(study / f"{name}.md") as stage:
        stage.write_text(f"{text}\n", encoding="utf-8")
    points = {
        model: (_mean(each, "microseconds"), _accuracies(each)) for model, each in results.items()
    }
    with atomic.staged(study / f"{name}.png") as stage:
        labels = "microseconds per image, one thread", f"test accuracy in {name}, %"
        plot_points(points, *labels).savefig(stage, format="png")
    print(f"\n{text}\n\nsaved in {study}, with the exports")


def table(results: dict[str, list[dict[str, Any]]], name: str) -> str:
    """Return the files of one format as a Markdown table, best mean test accuracy first.

    Args:
        results: the results of the runs of each network, each with its ``file``, an artifact of a
            bundle's manifest.
        name: the format.
    """
    lines = [
        f"| network | test accuracy in {name}, mean and standard deviation | in Keras | runs "
        "| multiply-adds | bytes | µs per image | behind the best |",
        "|---|---|---|---|---|---|---|---|",
    ]
    behind = significance.behind({model: _accuracies(runs) for model, runs in results.items()})
    for model, distance in behind.items():
        runs = results[model]
        cells = (
            model,
            significance.spread([accuracy / 100 for accuracy in _accuracies(runs)]),
            significance.spread([run["test_accuracy"] for run in runs]),
            str(len(runs)),
            f"{costs_of(runs[0]).multiply_adds:,}",
            f"{_mean(runs, 'bytes'):,.0f}",
            f"{_mean(runs, 'microseconds'):,.1f}",
            distance,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _accuracies(runs: Sequence[dict[str, Any]]) -> list[float]:
    """Return the test accuracies of the files in percent."""
    return [100 * run["file"]["test_correct"] / run["file"]["test_count"] for run in runs]


def _mean(runs: Sequence[dict[str, Any]], key: str) -> float:
    return statistics.mean(run["file"][key] for run in runs)


def _runs(study: Path) -> list[Run]:
    """Return the runs of a study.

    Raises:
        InputError: there are none, some are not finished, or they differ in more than network and
            seed.
    """
    runs = [Run(path) for path in sorted(study.glob("*-seed*")) if path.is_dir()]
    if not runs:
        raise InputError(
            f"{study} has no runs; make a study with python -m zoo.compare MODEL ... --out {study}"
        )
    if unfinished := [run.folder.name for run in runs if not run.result.exists()]:
        raise InputError(
            f"{study} has unfinished runs: {', '.join(unfinished)}; repeat the command of "
            "zoo.compare that began them"
        )
    first, *others = [_experiment(run) for run in runs]
    for run, experiment in zip(runs[1:], others, strict=True):
        if experiment != first:
            raise InputError(
                f"{run.folder} has other data or another recipe than {runs[0].folder}; compare "
                "runs of one study"
            )
    return runs


def _experiment(run: Run) -> tuple[dict[str, str], dict[str, Any]]:
    """Return what all runs of a study have in common: the data, and the recipe."""
    result = run.read_result()
    recipe = {
        key: value for key, value in result["recipe"].items() if key not in recipes.INCIDENTAL
    }
    return result["data"]["fingerprints"], recipe


def _exported(run: Run, name: str, request: Request, out: Path, **options: Any) -> dict[str, Any]:
    """Return what the manifest says of the file of a run; export the run if there is none.

    Raises:
        VerificationError: the file exceeds its bounds, or a bundle is damaged.
        InputError: the dataset of the run is not at hand.
    """
    sha256 = run.read_result()["weights"]["sha256"]
    for number in sorted(versions(out), reverse=True) if out.exists() else ():
        manifest = integrity.open_bundle(out / str(number)).manifest
        for file in manifest["artifacts"]:
            if (manifest["origin"]["run"]["weights"]["sha256"], file["format"]) == (sha256, name):
                return file
    source, dataset = open_run(run, **options)
    version, _ = export_bundle(source, dataset, request, out, print)
    manifest = integrity.open_bundle(version).manifest
    return next(file for file in manifest["artifacts"] if file["format"] == name)


if __name__ == "__main__":
    cli.run("export.compare", main)
