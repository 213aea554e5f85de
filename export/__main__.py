"""``python -m export RUN``: publish a run's network as a verified bundle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from export.bundle import export_bundle
from zoo import commands
from zoo.runs import Run, load_model


def main(argv: Sequence[str]) -> None:
    """Export one run."""
    parser = commands.Parser(
        "export", "Export a run as SavedModel and LiteRT files, each proven on the test split."
    )
    parser.add_argument("run", metavar="RUN", help="run folder, such as runs/ltfn5")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: exports/MODEL")
    commands.add_data_arguments(parser)
    arguments = parser.parse_args(argv)
    run = Run(arguments.run)
    result = run.read_result()

    commands.start_tensorflow()
    model = load_model(run.folder)
    dataset = commands.load_run_data(run, arguments)
    out = arguments.out or Path("exports") / result["model"]
    version, table = export_bundle(model, result, dataset, out, print)
    print(f"\n{table}\n\n{version} holds the bundle (data: {dataset.name})")


if __name__ == "__main__":
    commands.run("export", main)
