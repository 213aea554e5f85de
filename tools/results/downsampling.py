"""The post's question how else to downsample: python -m tools.results.downsampling STUDY.

STUDY is a folder of ``zoo.compare``. Its runs are exported to int8 into its folder ``exports``, and
what was measured of each file is kept in ``downsampling.json``, in place of what was kept before.
``tools.results`` writes the tables and the figure, from these and from the results of the runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from export import compare as files
from export import formats
from export.pipeline import Request
from tools.results import place_of
from zoo import cli, compare
from zoo.errors import InputError
from zoo.util import atomic, backend
from zoo.util.environment import machine

NETWORKS = ("ltfn5", "ltfn5-avgpool", "ltfn5-strided", "ltfn5-allconv", "ltfn5-convpool")
FILE = Path(__file__).parent / "downsampling.json"
_FORMAT = "int8"


def main(argv: Sequence[str]) -> None:
    """Export what was not exported before, and keep what was measured of each file.

    Raises:
        InputError: the folder is not a study whose runs are finished, it lacks a network, its runs
            differ in precision, or the dataset is not there.
        VerificationError: a file exceeds its bounds.
    """
    parser = cli.Parser(
        "tools.results.downsampling", "Measure a study's files in int8.", example="studies/quick"
    )
    parser.add_argument("study", type=Path, metavar="STUDY", help="a folder of zoo.compare")
    folder = parser.parse_args(argv).study
    runs = {run: run.read_result() for run in compare.read_study(folder)}
    runs = {run: result for run, result in runs.items() if result["model"] in NETWORKS}
    if missing := set(NETWORKS) - {result["model"] for result in runs.values()}:
        raise InputError(f"{folder} has no run of {', '.join(sorted(missing))}")
    if len(precisions := sorted({result["precision"] for result in runs.values()})) > 1:
        raise InputError(
            f"{folder} has runs in {' and in '.join(precisions)}, which may differ in accuracy; "
            "train all with the same --precision"
        )
    backend.start_tensorflow()
    request = Request(formats=formats.choose(_FORMAT), required=formats.named(_FORMAT))
    measured = {
        result["weights"]["sha256"]: {
            key: result["file"][key]
            for key in ("test_correct", "test_count", "bytes", "microseconds")
        }
        for results in files.export_runs(list(runs), _FORMAT, request).values()
        for result in results
    }
    atomic.write_json(FILE, {"processor": machine()["processor"], "files": measured})


def study(results: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the trainings of the study by network, each with its ``file`` in int8.

    Args:
        results: the results that are kept.

    Raises:
        InputError: a training of the study is not among them.
    """
    measured = kept()["files"]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in NETWORKS}
    for result in results:
        sha256 = result["weights"]["sha256"]
        if sha256 in measured:
            found[result["model"]].append(result | {"file": measured[sha256]})
    count = sum(map(len, found.values()))
    if count != len(measured):
        raise InputError(
            f"the study has {len(measured)} trainings, of which {count} are kept; add them with "
            "python -m tools.results --add"
        )
    return found


def kept() -> dict[str, Any]:
    """Return the processor, and what was measured of each file by the SHA-256 of its weights."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def table(found: dict[str, list[dict[str, Any]]]) -> str:
    """Return the study as Markdown, and the processor and precision of its trainings."""
    each = [result for results in found.values() for result in results]
    return f"{compare.table(found)}\n\n({'; '.join(sorted(set(map(place_of, each))))})"


def table_of_files(found: dict[str, list[dict[str, Any]]]) -> str:
    """Return the files of the study as Markdown, and the processor that measured their times."""
    return f"{files.table(found, _FORMAT)}\n\n({kept()['processor']})"


if __name__ == "__main__":
    cli.run("tools.results.downsampling", main)
