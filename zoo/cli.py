"""Shared by all commands: the parser, the dataset and recipe options, and the exit codes."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from zoo import data, recipes
from zoo.data.preprocessing import BACKGROUNDS, FITS, POLARITIES
from zoo.errors import EXIT_CODES, InputError, WorkerError, ZooError
from zoo.models import registry, user_modules
from zoo.recipes import Recipe
from zoo.util import backend, lifetime, signals, streams

RECIPE_FLAGS = ("steps", "epochs", "batch_size", "seed", "precision")
_MOST = 10**9  # for whole numbers in arguments
_UNITS = {"": 1, "B": 1, "kB": 1_000, "KiB": 1_024, "MB": 1_000_000, "MiB": 1_048_576}

IMAGE_FLAGS = ("image_size", "channels", "fit", "background", "polarity", "ink")


class Parser(argparse.ArgumentParser):
    """An argument parser that raises ``InputError`` and lists the exit codes in its help.

    Args:
        prog: name of the command's module.
        description: what the command does.
        example: arguments of an example, which the help shows.
        imports: whether the command accepts ``--import``; the modules are imported after all
            arguments are parsed.
    """

    def __init__(
        self, prog: str, description: str, *, example: str = "", imports: bool = False
    ) -> None:
        shown = f"example:\n  python -m {prog} {example}\n\n" if example else ""
        super().__init__(
            prog=f"python -m {prog}",
            description=description,
            epilog=shown + EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        # Values such as -1..1 (for --pixels) would otherwise be parsed as options.
        self._negative_number_matcher = re.compile(r"-\d")
        if imports:
            self.add_argument(
                "--import",
                metavar="MODULE",
                dest="imports",
                action="append",
                default=[],
                help="import this module first; it registers your own networks or defines your own "
                "layers (docs/own-networks.md); may be repeated",
            )

    def parse_args(self, argv: Sequence[str]) -> Any:  # type: ignore[override]
        """Parse the arguments, then import the modules of ``--import``.

        Raises:
            InputError: an argument is invalid or empty, or a module cannot be imported.
        """
        # Often an unset variable of a shell; it must not silently mean the default.
        if any(each == "" or re.fullmatch(r"--[\w-]+=", each) for each in argv):
            raise InputError("an argument is empty; leave it out to use its default")
        # argparse would remove the dashes, and give an empty list as the value.
        if without := [each for each in argv if re.fullmatch(r"--[\w-]+=--", each)]:
            raise InputError(f"{without[0]} gives no value; see {self.prog} --help")
        parsed = super().parse_args(argv)
        if modules := getattr(parsed, "imports", []):
            backend.start_tensorflow()
            for module in modules:
                user_modules.import_module(module)
        return parsed

    def error(self, message: str) -> NoReturn:
        """Raise ``InputError`` instead of printing the usage and exiting."""
        raise InputError(f"{message}; see {self.prog} --help")


def positive(text: str) -> int:
    """Parse an integer from 1 to 1,000,000,000, for ``type=`` of an argument."""
    return _whole(text, 1)


def natural(text: str) -> int:
    """Parse an integer from 0 to 1,000,000,000, for ``type=`` of an argument."""
    return _whole(text, 0)


def byte_count(text: str) -> int:
    """Parse a size such as ``64KiB``, ``2MB`` or ``65536``, for ``type=`` of an argument."""
    found = re.fullmatch(r"(\d{1,12})(\w*)", text, re.ASCII)
    if not found or found[2] not in _UNITS:
        units = ", ".join(filter(None, _UNITS))
        raise argparse.ArgumentTypeError(
            f"takes a whole number of at most 12 digits, in bytes or with a unit ({units}), "
            f"received {text!r}"
        )
    return int(found[1]) * _UNITS[found[2]]


def percentage(text: str) -> float:
    """Parse a percentage such as ``99.4``, for ``type=`` of an argument."""
    if not re.fullmatch(r"\d{1,3}(\.\d{1,9})?", text, re.ASCII) or float(text) > 100:
        raise argparse.ArgumentTypeError(
            f"takes a number from 0 to 100 such as 99.4, received {text!r}"
        )
    return float(text)


def _whole(text: str, least: int) -> int:
    # Python refuses to convert texts of thousands of digits.
    if not text.isdecimal() or len(text) > len(str(_MOST)) or not least <= int(text) <= _MOST:
        raise argparse.ArgumentTypeError(
            f"takes a whole number from {least} to {_MOST:,}, received {text!r}"
        )
    return int(text)


def add_experiment_arguments(parser: Parser) -> None:
    """Add the options that select the dataset and configure the training."""
    parser.add_argument(
        "--recipe", metavar="NAME", help=f"{', '.join(recipes.RECIPES)} (default: quick), see below"
    )
    rows = [f"  {name:<8} {summary}" for name, summary in recipes.summaries().items()]
    parser.epilog = "\n".join(["recipes:", *rows, "", str(parser.epilog)])
    parser.add_argument("--data", metavar="NAME", help=f"{data.HELP} (default: auto)")
    parser.add_argument(
        "--image-size",
        type=size,
        metavar="N|HxW",
        help="resize the images (default: the dataset's size; for a folder, the network's)",
    )
    parser.add_argument(
        "--channels",
        type=int,
        choices=(1, 3),
        help="channels of the images (default: the dataset's; for a folder, 1 if all its "
        "files are stored as grey, else 3)",
    )
    add_picture_arguments(parser)
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        dest="overrides",
        action="append",
        default=[],
        help=f"override one value of the recipe; may be repeated; keys: {', '.join(recipes.KEYS)}",
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=positive, help="train on this many batches")
    length.add_argument("--epochs", type=positive, help="train on each image this many times")
    parser.add_argument("--batch-size", type=positive, help="images per step")
    parser.add_argument(
        "--precision",
        choices=recipes.PRECISION_CHOICES,
        help="compute precision (default: auto, the faster one on this machine)",
    )


def add_picture_arguments(parser: Parser) -> None:
    """Add the options that control how a picture file becomes an input image."""
    pictures = parser.add_argument_group(
        "picture preprocessing (docs/pictures.md explains each option)"
    )
    pictures.add_argument(
        "--fit", choices=FITS, help="how to fit pictures of another aspect ratio (default: pad)"
    )
    pictures.add_argument(
        "--background",
        choices=BACKGROUNDS,
        help="color behind transparent pixels (default: white)",
    )
    pictures.add_argument(
        "--polarity",
        choices=(data.AUTO, *POLARITIES),
        help="background of the network's grey pictures; others are inverted (default: auto)",
    )
    pictures.add_argument(
        "--ink",
        choices=data.INKS,
        help="locate handwriting in pictures that are not of the image size (default: auto)",
    )


def recipe(arguments: argparse.Namespace) -> Recipe:
    """Return the recipe that the experiment options describe."""
    flags = {name: getattr(arguments, name, None) for name in RECIPE_FLAGS}
    given = {name: value for name, value in flags.items() if value is not None}
    overrides = recipes.parse_overrides(arguments.overrides)
    return recipes.get_recipe(arguments.recipe or "quick").replace(**overrides | given)


def data_request(arguments: argparse.Namespace, model: str) -> tuple[str, dict[str, Any]]:
    """Return the name of the dataset, and the arguments of ``data.load`` that were given."""
    name = data.AUTO if arguments.data is None else arguments.data
    data.check_name(name)
    choices = image_choices(arguments)
    if "image_size" not in choices and data.is_folder(name):
        choices["image_size"] = registry.get_spec(model).input_shape[:2]
    return name, choices


def image_choices(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the picture preprocessing options that were given, as arguments of ``data.load``."""
    given = {name: getattr(arguments, name, None) for name in IMAGE_FLAGS}
    return {name: value for name, value in given.items() if value is not None}


def add_data_arguments(parser: Parser) -> None:
    """Add the options that locate the dataset."""
    parser.add_argument(
        "--data-dir",
        metavar="DIR",
        help="prepared tfds datasets, and decoded folders of pictures (default: TFDS_DATA_DIR or "
        "~/tensorflow_datasets)",
    )
    parser.add_argument(
        "--manual-dir",
        metavar="DIR",
        help="folder with a dataset's original files (default for MNIST: ZOO_MANUAL_DIR)",
    )
    parser.add_argument("--offline", action="store_true", help="do not access the internet")


def size(text: str) -> tuple[int, int]:
    """Parse ``N`` or ``HxW``, for ``type=`` of an argument."""
    height, cross, width = text.partition("x")
    return positive(height), positive(width if cross else height)


def load_data(name: str, arguments: argparse.Namespace, **choices: Any) -> data.Dataset:
    """Load a dataset with the data options and further arguments of ``data.load``."""
    return data.load(name, **data_options(arguments), **choices)


def data_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of ``data.load`` that the data options give."""
    return {name: getattr(arguments, name) for name in ("data_dir", "manual_dir", "offline")}


def run(prog: str, main: Callable[[Sequence[str]], Any]) -> NoReturn:
    """Run a command with the process's arguments and exit with its documented exit code."""
    if sys.platform == "win32":
        _leave(prog, "Windows is not supported; use Linux, macOS or WSL", 2)
    streams.open_missing()
    streams.escape()
    try:
        signals.raise_exceptions()
        lifetime.end_with_parent()
        main(sys.argv[1:])
        sys.stdout.flush()
        signals.ignore()
    except ZooError as error:
        _leave(prog, str(error), error.exit_code)
    except KeyboardInterrupt as error:
        number = signals.number_of(error)
        _leave(prog, "interrupted" if number == 2 else "terminated", 128 + number)
    except BrokenPipeError:
        streams.discard(1)  # the reader closed the pipe, as in `... | head`
        sys.exit(1)
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        _leave(prog, f"{error.strerror or error}{where}", 1)
    sys.exit(0)


def _leave(prog: str, message: str, code: int) -> NoReturn:
    signals.ignore()
    message = "\\n".join(message.splitlines())  # an argument or a file name may contain newlines
    streams.tell(f"{prog}: error: {message}" if code < 128 else f"{prog}: {message}")
    if code < 128 and code != WorkerError.exit_code:
        sys.exit(code)
    # An interruption or the end of another worker may find TensorFlow's threads at work, with which
    # Python's shutdown crashes or waits. So only the first part of it runs, in which TensorFlow
    # removes its temporary files.
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    os._exit(code)
