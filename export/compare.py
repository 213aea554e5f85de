"""``python -m export.compare STUDY``: compare the exported files of a study.

The runs of a study of ``zoo.compare`` are exported into its folder ``exports``. A repeated command
exports only what it has not exported before with the same settings on such a machine.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from export import formats, options
from export.bundle import publish
from export.network.sources import open_run
from export.pipeline import Request, export_bundle
from zoo import cli, significance
from zoo.bundles import integrity
from zoo.compare import costs_of, plot_points, read_study
from zoo.errors import unknown
from zoo.runs import Run
from zoo.util import atomic, backend
from zoo.util.environment import machine, versions

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
    options.add_bound_arguments(parser)
    parser.add_argument(
        "--data", metavar="NAME", help="the new location of the study's data, if it was moved"
    )
    cli.add_data_arguments(parser)
    arguments = parser.parse_args(argv)
    name, study = arguments.format, arguments.study
    if name not in _FORMATS:
        raise unknown("format", name, _FORMATS)
    request = Request(
        formats=options.bounded(name, arguments),
        required=formats.named(name),
        offline=arguments.offline,
    )
    runs = read_study(study)
    backend.start_tensorflow()
    results = export_runs(runs, name, request, arguments.data, **cli.data_options(arguments))
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


def export_runs(
    runs: Sequence[Run], name: str, request: Request, data: str | None = None, **how: Any
) -> dict[str, list[dict[str, Any]]]:
    """Export what was not exported before; return the results of the runs of each network.

    Args:
        runs: the runs of a study.
        name: the format.
        request: the settings of the exports, with this format.
        data: the new location of the study's data, if it was moved.
        **how: ``data_dir``, ``manual_dir`` and ``offline`` of ``zoo.load_data``.

    Returns:
        The results of ``Run.read_result``, each with its ``file``, an artifact of a bundle's
        manifest.

    Raises:
        InputError: the dataset is not there, or a network does not allow the format.
        VerificationError: a file exceeds its bounds.
        DamagedError: a bundle that was exported before is damaged.
    """
    results: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        print(f"{run.folder.name}:", flush=True)
        out = run.folder.parent / "exports" / run.folder.name
        file = _exported(run, name, request, out) or _export(run, name, request, out, data, **how)
        result = run.read_result()
        results.setdefault(result["model"], []).append(result | {"file": file})
    return results


def table(results: dict[str, list[dict[str, Any]]], name: str) -> str:
    """Return the files of one format as a Markdown table, best mean test accuracy first.

    Args:
        results: as ``export_runs`` returns them.
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


def _exported(run: Run, name: str, request: Request, out: Path) -> dict[str, Any] | None:
    """Return a file that was exported before with this request on such a machine; None if none was.

    Raises:
        DamagedError: a bundle is damaged.
    """
    wanted = {"batch": request.batch, "machine": machine(), "versions": versions()}
    asked = next(each for each in request.formats if each.name == name)
    sha256 = run.read_result()["weights"]["sha256"]
    for number in sorted(publish.versions(out), reverse=True) if out.exists() else ():
        manifest = integrity.open_bundle(out / str(number)).manifest
        is_same = manifest["origin"]["run"]["weights"]["sha256"] == sha256
        if is_same and {key: manifest[key] for key in wanted} == wanted:
            for file in manifest["artifacts"]:
                count = file["test_count"]
                allowed = (asked.allowed_losses(count), asked.allowed_flips(count))
                kept = (file["allowed_losses"], file["allowed_flips"])
                if file["format"] == name and kept == allowed:
                    return file
    return None


def _export(
    run: Run, name: str, request: Request, out: Path, data: str | None, **how: Any
) -> dict[str, Any]:
    """Export a run, and return what the manifest of the bundle records of the file.

    Raises:
        VerificationError: the file exceeds its bounds.
        InputError: the dataset is not there, or the network does not allow the format.
    """
    source, dataset = open_run(run, data, **how)
    version, _ = export_bundle(source, dataset, request, out, print)
    manifest = integrity.open_bundle(version).manifest
    return next(file for file in manifest["artifacts"] if file["format"] == name)


if __name__ == "__main__":
    cli.run("export.compare", main)
