"""``python -m export RUN``: publish a network as a verified bundle."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from export import formats
from export.network import pixels
from export.network.keras_file import check_file, is_keras_file, open_keras_file
from export.network.keras_source import from_keras
from export.network.sources import Source, from_run
from export.pipeline import Request, export_bundle
from zoo import cli, data
from zoo.data import Dataset
from zoo.errors import InputError
from zoo.runs import Run
from zoo.util import backend


def main(argv: Sequence[str]) -> None:
    """Export one network."""
    arguments = _parser().parse_args(argv)
    request = Request(
        formats=formats.bounded(
            formats.choose(arguments.formats),
            dict(arguments.bound),
            allow_drop=arguments.allow_drop,
        ),
        required=formats.named(arguments.formats),
        batch=arguments.batch,
    )
    source, dataset = _open(arguments)
    out = arguments.out or Path("exports") / source.name
    version, table = export_bundle(source, dataset, request, out, print)
    print(f"\n{table}\n\n{version} holds the bundle (data: {dataset.name})")


def _parser() -> cli.Parser:
    parser = cli.Parser(
        "export",
        "Export a network to many formats, each file proven on the whole test split.",
        imports=True,
    )
    parser.add_argument(
        "source",
        metavar="RUN|FILE.keras",
        help="run folder, such as runs/ltfn5, or a Keras file (.keras, .h5)",
    )
    told = "; ".join(f"{each.name}: {each.says}" for each in formats.FORMATS.values())
    usual = ", ".join(each.name for each in formats.choose(None))
    parser.add_argument(
        "--formats", metavar="LIST", help=f"all, or some, with commas (default: {usual}). {told}"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: exports/MODEL")
    parser.add_argument(
        "--batch",
        type=cli.positive,
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
        "--pixels",
        choices=(pixels.AUTO, *pixels.NAMES),
        help="of a Keras file: the pixels that it takes; caffe and imagenet are modes of "
        "keras.applications, and auto is what suits it best (default: 0..255)",
    )
    parser.add_argument(
        "--labels",
        metavar="FILE|A,B,C",
        help="of a Keras file: the class of each output, in order, with commas or a line each in a "
        "file (default: the order of the data)",
    )
    parser.add_argument(
        "--image-size",
        type=cli.size,
        metavar="N|HxW",
        help="of a Keras file that takes images of any size",
    )
    cli.add_picture_arguments(parser)
    cli.add_data_arguments(parser)
    return parser


def _open(arguments: argparse.Namespace) -> tuple[Source, Dataset]:
    """Return the network, and the data set to prove it on."""
    path = Path(arguments.source)
    if is_keras_file(path):
        return _open_keras(path, arguments)
    if arguments.pixels or arguments.labels or cli.image_choices(arguments):
        raise InputError(
            "--pixels, --labels and picture options go with a Keras file; a run records its own"
        )
    if (path / "saved_model.pb").is_file():
        raise InputError(
            f"{path} is a SavedModel, which holds no layers that could be converted to every "
            "format; give the run or the .keras file that it was made from"
        )
    run = Run(path)
    run.read_result()
    backend.start_tensorflow()
    return from_run(run), cli.load_run_data(run, arguments, arguments.data)


def _open_keras(path: Path, arguments: argparse.Namespace) -> tuple[Source, Dataset]:
    """Return the network of a Keras file, and the data set to prove it on."""
    check_file(path)
    if arguments.data is None:
        raise InputError(f"{path} needs --data, labelled pictures that it is verified on")
    data.check_name(arguments.data)
    backend.start_tensorflow()
    file = open_keras_file(path, arguments.image_size)
    height, width, channels = file.image_shape
    choices = cli.image_choices(arguments) | {"image_size": (height, width)}
    dataset = cli.load_data(arguments.data, arguments, channels=channels, **choices)
    if len(dataset.class_names) != file.classes:
        raise InputError(
            f"{path} knows {file.classes} classes, {dataset.name} has {len(dataset.class_names)}"
        )
    if arguments.labels:
        dataset = dataset.in_order(_labels(arguments.labels))
    source = from_keras(
        file,
        dataset,
        scale=arguments.pixels,
        ordered=arguments.labels is not None,
        announce=print,
    )
    return source, dataset


def _labels(text: str) -> list[str]:
    """Return the class names that ``--labels`` gives."""
    path = Path(text)
    try:
        if path.is_file():
            return path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"--labels {text} cannot be read: {error}") from error
    return text.split(",")


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
    cli.run("export", main)
