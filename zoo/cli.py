"""What all commands share: the parser, the options on data and recipes, and the exit codes."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from zoo import data
from zoo.data import preprocessing
from zoo.data.preprocessing import BACKGROUNDS, FITS, POLARITIES
from zoo.errors import EXIT_CODES, InputError, ZooError
from zoo.models import registry, user_modules
from zoo.runs import Run
from zoo.training import recipes
from zoo.training.recipes import Recipe
from zoo.util import backend

RECIPE_FLAGS = ("steps", "epochs", "batch_size", "seed", "precision")
IMAGE_FLAGS = ("image_size", "channels", "fit", "background", "polarity", "ink")


class Parser(argparse.ArgumentParser):
    """An argument parser that raises ``InputError`` and explains the exit codes.

    Args:
        prog: name of the command's module.
        description: what the command does.
        imports: whether the command takes ``--import``; the modules are imported once all
            arguments are parsed.
    """

    def __init__(self, prog: str, description: str, *, imports: bool = False) -> None:
        super().__init__(
            prog=f"python -m {prog}",
            description=description,
            epilog=EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        # What begins with a negative number, such as -1..1 of --pixels, is a value.
        self._negative_number_matcher = re.compile(r"-\d")
        if imports:
            self.add_argument(
                "--import",
                metavar="MODULE",
                dest="imports",
                action="append",
                default=[],
                help="first import this module, which registers networks or defines layers of your "
                "own (docs/own-networks.md); may be repeated",
            )

    def parse_args(self, *arguments: Any, **options: Any) -> Any:
        """Parse the arguments, then import the modules of ``--import``.

        Raises:
            InputError: an argument is wrong, or a module cannot be imported.
        """
        parsed = super().parse_args(*arguments, **options)
        if modules := getattr(parsed, "imports", []):
            backend.start_tensorflow()
            for module in modules:
                user_modules.import_module(module)
        return parsed

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage and leaving."""
        raise InputError(f"{message}; see {self.prog} --help")


def positive(text: str) -> int:
    """Parse a whole number above zero, for ``type=`` of an argument."""
    return _whole(text, 1)


def natural(text: str) -> int:
    """Parse a whole number from zero, for ``type=`` of an argument."""
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(
            f"takes a whole number of at least {least}, received {text!r}"
        )
    return int(text)


def add_experiment_arguments(parser: Parser) -> None:
    """Add the options that say what to train on and how."""
    parser.add_argument(
        "--recipe", metavar="NAME", help=f"{', '.join(recipes.RECIPES)} (default: quick)"
    )
    parser.add_argument("--data", metavar="NAME", help=f"{data.HELP} (default: auto)")
    parser.add_argument(
        "--image-size",
        type=size,
        metavar="N|HxW",
        help="resize the images (default: the set's size; for a folder the network's)",
    )
    parser.add_argument(
        "--channels",
        type=int,
        choices=(1, 3),
        help="default: the set's; of a folder 1 if all its pictures are grey, else 3",
    )
    add_picture_arguments(parser)
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        dest="overrides",
        action="append",
        default=[],
        help="replace one value of the recipe; may be repeated",
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=positive, help="train on this many batches")
    length.add_argument("--epochs", type=positive, help="see each image this often")
    parser.add_argument("--batch-size", type=positive, help="images in each step")
    parser.add_argument(
        "--precision",
        choices=recipes.PRECISION_CHOICES,
        help="number format of the arithmetic (default: auto, the faster one on this machine)",
    )


def add_picture_arguments(parser: Parser) -> None:
    """Add the options that say how a picture becomes an image of the network."""
    pictures = parser.add_argument_group("pictures (docs/pictures.md explains each)")
    pictures.add_argument(
        "--fit", choices=FITS, help="pictures of other proportions (default: pad)"
    )
    pictures.add_argument(
        "--background", choices=BACKGROUNDS, help="behind transparent pixels (default: white)"
    )
    pictures.add_argument(
        "--polarity",
        choices=(data.AUTO, *POLARITIES),
        help="invert grey pictures whose edges are of the other kind (default: auto)",
    )
    pictures.add_argument(
        "--ink",
        choices=data.INKS,
        help="find handwriting in pictures of other sizes (default: auto)",
    )


def recipe(arguments: argparse.Namespace) -> Recipe:
    """Return the recipe that the experiment options describe."""
    flags = {name: getattr(arguments, name, None) for name in RECIPE_FLAGS}
    given = {name: value for name, value in flags.items() if value is not None}
    overrides = recipes.parse_overrides(arguments.overrides)
    return recipes.get_recipe(arguments.recipe or "quick").replace(**overrides | given)


def data_request(arguments: argparse.Namespace, model: str) -> tuple[str, dict[str, Any]]:
    """Return the name of the data set, and the choices of ``data.load`` that were given."""
    name = data.AUTO if arguments.data is None else arguments.data
    data.check_name(name)
    choices = image_choices(arguments)
    if "image_size" not in choices and data.is_folder(name):
        choices["image_size"] = registry.get_spec(model).input_shape[:2]
    return name, choices


def image_choices(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return those options that say how a picture becomes an image, of those that were given."""
    given = {name: getattr(arguments, name, None) for name in IMAGE_FLAGS}
    return {name: value for name, value in given.items() if value is not None}


def add_data_arguments(parser: Parser) -> None:
    """Add the options that say where data comes from."""
    parser.add_argument(
        "--data-dir", metavar="DIR", help="prepared tfds data sets (default: TFDS_DATA_DIR or ~)"
    )
    parser.add_argument(
        "--manual-dir",
        metavar="DIR",
        help="folder with a set's original files (default for MNIST: ZOO_MANUAL_DIR)",
    )
    parser.add_argument("--offline", action="store_true", help="never touch the network")


def size(text: str) -> tuple[int, int]:
    """Parse ``N`` or ``HxW``, for ``type=`` of an argument."""
    height, _, width = text.partition("x")
    return positive(height), positive(width or height)


def load_data(name: str, arguments: argparse.Namespace, **choices: Any) -> data.Dataset:
    """Read the data set that the data options describe, with some choices of ``data.load``."""
    return data.load(
        name,
        data_dir=arguments.data_dir,
        manual_dir=arguments.manual_dir,
        offline=arguments.offline,
        **choices,
    )


def load_recorded_data(
    recorded: dict[str, Any],
    arguments: argparse.Namespace,
    name: str | None = None,
    **choices: Any,
) -> data.Dataset:
    """Read a data set as a run's record of it says.

    Args:
        recorded: ``Dataset.record()`` of the run.
        arguments: with the data options.
        name: of another set, or where the folder is now; by default where it was.
        **choices: more of ``data.load``.
    """
    how = preprocessing.recorded(recorded)
    return load_data(
        recorded["source"] if name is None else name,
        arguments,
        image_size=how.size,
        channels=how.channels,
        fit=how.fit,
        background=how.background,
        polarity=how.polarity,
        ink="on" if how.ink else "off",
        report=False,
        **choices,
    )


def load_run_data(run: Run, arguments: argparse.Namespace, name: str | None = None) -> data.Dataset:
    """Read the data set that a finished run was trained on.

    Args:
        run: the run.
        arguments: with the data options.
        name: where the set is now, if it was moved.

    Raises:
        InputError: what is here now is not what the run records; the message says in what.
    """
    recorded = run.read_result()["data"]
    dataset = load_recorded_data(recorded, arguments, name)
    if told := data.differences(recorded, dataset.facts()):
        raise InputError(
            f"the data is not what {run.result} records: {'; '.join(told)}; "
            "train anew, or give what it was trained on with --data"
        )
    return dataset


def run(prog: str, main: Callable[[Sequence[str]], Any]) -> NoReturn:
    """Run a command on the process's arguments and leave with its documented exit code."""
    try:
        main(sys.argv[1:])
        sys.stdout.flush()
    except ZooError as error:
        _leave(prog, str(error), error.exit_code)
    except KeyboardInterrupt:
        _leave(prog, "interrupted; nothing was lost", 130)
    except BrokenPipeError:
        # The reader left, as in `... | head`. Nothing is to be flushed into its pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        _leave(prog, f"{error.strerror or error}{where}", 1)
    sys.exit(0)


def _leave(prog: str, message: str, code: int) -> NoReturn:
    print(f"{prog}: error: {message}" if code < 128 else f"{prog}: {message}", file=sys.stderr)
    sys.exit(code)
