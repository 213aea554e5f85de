"""``python -m export RUN``: publish a network as a verified bundle."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from export import formats, options
from export.check import gallery
from export.network import beside, pixels
from export.network.keras_file import check_file, is_keras_file, open_keras_file
from export.network.keras_source import from_keras
from export.network.sources import Source, open_run
from export.pipeline import Request, export_bundle
from zoo import cli, data
from zoo.data import Dataset
from zoo.errors import InputError
from zoo.runs import find
from zoo.util import backend


def main(argv: Sequence[str]) -> None:
    """Export one network from the command line."""
    arguments = _parser().parse_args(argv)
    request = Request(
        formats=options.bounded(arguments.formats, arguments),
        required=formats.named(arguments.formats),
        batch=arguments.batch,
        offline=arguments.offline,
        gallery=arguments.gallery,
        beside=arguments.beside,
    )
    source, dataset = _open(arguments)
    out = arguments.out or Path("exports") / source.name
    version, table = export_bundle(source, dataset, request, out, print)
    print(f"\n{table}\n\n{version} contains the verified bundle (dataset: {dataset.name})")


def _parser() -> cli.Parser:
    parser = cli.Parser(
        "export",
        "Export a network to several formats and verify each file on the whole test split.",
        example="runs/ltfn5 --formats float32,int8",
        imports=True,
    )
    parser.add_argument(
        "source",
        metavar="RUN|FILE.keras|NAME",
        help="run folder, such as runs/ltfn5, a Keras file (.keras, .h5), or a network that the "
        "package contains trained",
    )
    descriptions = "; ".join(
        f"{each.name}: {each.description}" for each in formats.FORMATS.values()
    )
    usual = ", ".join(each.name for each in formats.choose(None))
    parser.add_argument(
        "--formats",
        metavar="LIST",
        help=f"all, or a comma-separated list (default: {usual}). {descriptions}",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="parent folder of the numbered versions (default: exports/MODEL)",
    )
    parser.add_argument(
        "--batch",
        type=cli.positive,
        default=1,
        metavar="N",
        help="batch size of the LiteRT files (default: 1)",
    )
    parser.add_argument(
        "--gallery",
        type=cli.natural,
        metavar="N",
        help="test images in the web page, half of them errors if there are enough (default: "
        f"{gallery.DEFAULT}, or 0 for a folder of pictures, which may be private)",
    )
    parser.add_argument(
        "--beside",
        action="append",
        default=[],
        metavar="RUN|NAME|FORMAT",
        help="another network in the same web page, for comparison: a run folder, a network that "
        f"the package contains trained, or {' or '.join(beside.OTHER_FORMATS)} for the same "
        "network in this format; may be repeated",
    )
    options.add_bound_arguments(parser)
    parser.add_argument(
        "--data",
        metavar="NAME",
        help=f"required for a Keras file: {data.HELP}; for a run, the new location of its data if "
        "it was moved",
    )
    parser.add_argument(
        "--pixels",
        choices=(pixels.AUTO, *pixels.NAMES),
        help="for a Keras file: the pixel scale that the network expects; caffe and imagenet are "
        "those of keras.applications, auto selects the most accurate scale (default: 0..255; the "
        "export stops if another scale is clearly better)",
    )
    parser.add_argument(
        "--labels",
        metavar="FILE|A,B,C",
        help="for a Keras file: class names in the order of the outputs, separated by commas or "
        "one per line in a file (default: the dataset's order)",
    )
    parser.add_argument(
        "--image-size",
        type=cli.size,
        metavar="N|HxW",
        help="for a Keras file that accepts images of any size: the fixed size to export",
    )
    cli.add_picture_arguments(parser)
    cli.add_data_arguments(parser)
    return parser


def _open(arguments: argparse.Namespace) -> tuple[Source, Dataset]:
    """Return the network and the dataset to verify it on."""
    path = Path(arguments.source)
    if is_keras_file(path):
        return _open_keras(path, arguments)
    if arguments.pixels or arguments.labels or cli.image_choices(arguments):
        raise InputError(
            "--pixels, --labels and picture options apply only to a Keras file; leave them out, "
            "since a run records its own"
        )
    if (path / "saved_model.pb").is_file():
        raise InputError(
            f"{path} is a SavedModel, which lacks the Keras layers that the converters need; give "
            "the run or the .keras file that it was made from"
        )
    run = find(arguments.source)
    run.read_result()
    backend.start_tensorflow()
    return open_run(run, arguments.data, **cli.data_options(arguments))


def _open_keras(path: Path, arguments: argparse.Namespace) -> tuple[Source, Dataset]:
    """Return the network of a Keras file and the dataset to verify it on."""
    check_file(path)
    if arguments.data is None:
        raise InputError(f"{path} needs --data with labelled pictures to verify it on")
    data.check_name(arguments.data)
    backend.start_tensorflow()
    file = open_keras_file(path, arguments.image_size)
    height, width, channels = file.image_shape
    choices = cli.image_choices(arguments) | {"image_size": (height, width)}
    dataset = cli.load_data(arguments.data, arguments, channels=channels, **choices)
    if len(dataset.class_names) != file.classes:
        raise InputError(
            f"{path} has {file.classes} classes, but {dataset.name} has "
            f"{len(dataset.class_names)}; give a dataset with the same classes with --data"
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
    """Return the class names from ``--labels``, a file or a comma-separated list."""
    try:
        if os.path.isfile(text):  # a list may be longer than the name of a file
            return Path(text).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"--labels {text} cannot be read: {error}") from error
    return text.split(",")


if __name__ == "__main__":
    cli.run("export", main)
