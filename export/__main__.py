"""``python -m export RUN``: publish a network as a verified bundle."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from export import formats
from export.bundle import Request, export_bundle
from export.sources import Source, from_keras, from_run
from zoo import commands, data
from zoo.data import Dataset
from zoo.errors import InputError
from zoo.runs import Run


def main(argv: Sequence[str]) -> None:
    """Export one network."""
    arguments = _parser().parse_args(argv)
    request = Request(
        formats=formats.bounded(
            formats.choose(arguments.formats),
            dict(arguments.bound),
            allow_drop=arguments.allow_drop,
        ),
        batch=arguments.batch,
    )
    source, dataset = _open(arguments)
    out = arguments.out or Path("exports") / source.name
    version, table = export_bundle(source, dataset, request, out, print)
    print(f"\n{table}\n\n{version} holds the bundle (data: {dataset.name})")


def _parser() -> commands.Parser:
    parser = commands.Parser(
        "export", "Export a network to many formats, each file proven on the whole test split."
    )
    parser.add_argument(
        "source", metavar="RUN|FILE.keras", help="run folder, such as runs/ltfn5, or a Keras file"
    )
    told = "; ".join(f"{each.name}: {each.says}" for each in formats.FORMATS.values())
    usual = ", ".join(each.name for each in formats.choose(None))
    parser.add_argument(
        "--formats", metavar="LIST", help=f"all, or some, with commas (default: {usual}). {told}"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: exports/MODEL")
    parser.add_argument(
        "--batch",
        type=commands.positive,
        default=1,
        metavar="N",
        help="images in each call of a LiteRT file (default: 1)",
    )
    parser.add_argument(
        "--bound",
        type=_bound,
        action="append",
        default=[],
        metavar="FORMAT=POINTS",
        help="largest loss of accuracy of a format, in points, instead of its own",
    )
    parser.add_argument(
        "--allow-drop", action="store_true", help="accept a --bound looser than the format's own"
    )
    parser.add_argument(
        "--data",
        metavar="NAME",
        help=f"of a Keras file, required: {data.HELP}; of a run, where its data is if it was moved",
    )
    parser.add_argument(
        "--white",
        type=int,
        choices=(1, 255),
        help="of a Keras file: the pixel that is white for it (default: 255)",
    )
    commands.add_picture_arguments(parser)
    commands.add_data_arguments(parser)
    return parser


def _open(arguments: argparse.Namespace) -> tuple[Source, Dataset]:
    """Return the network, and the data set to prove it on."""
    file = Path(arguments.source)
    if file.suffix == ".keras":
        if not file.is_file():
            raise InputError(f"there is no file {file}")
        if arguments.data is None:
            raise InputError(f"{file} needs --data, the data set it is calibrated and verified on")
        data.check_name(arguments.data)
        commands.start_tensorflow()
        source = from_keras(file, arguments.white or 255)
        height, width, channels = source.model.input_shape[1:]
        choices = commands.image_choices(arguments) | {"image_size": (height, width)}
        dataset = commands.load_data(arguments.data, arguments, channels=channels, **choices)
        return source, dataset
    if arguments.white is not None or commands.image_choices(arguments):
        raise InputError("--white and picture options go with a Keras file; a run records its own")
    run = Run(file)
    run.read_result()
    commands.start_tensorflow()
    return from_run(run), commands.load_run_data(run, arguments, arguments.data)


def _bound(text: str) -> tuple[str, float]:
    name, equals, points = text.partition("=")
    try:
        value = float(points)
    except ValueError:
        value = -1.0
    if not equals or not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(
            f"takes FORMAT=POINTS with 0 to 100 points, such as int8=0.05, received {text!r}"
        )
    return name, value


if __name__ == "__main__":
    commands.run("export", main)
