"""Give every option of every command values that it does not expect."""

from __future__ import annotations

import argparse
import importlib
import shutil
from unittest import mock

import numpy as np

from tools.faults.harness import Injected, Place, files_of, wrong_message
from zoo import cli

BEFORE = "140 of 168"
WHAT = "unexpected value of an option, such as an empty text, `1e400`, `..` or a folder"
COUNT = 250

VALUES = (
    "", " ", "ünï/图", "a\nb", "\udcff", "nan", "inf", "1e400", "-1", "0", "0.5", "4294967296",
    "9" * 400, "x" * 5_000, "-", "--", ".", "..", "/", "/dev/null", "folder", "file", "a,b", "a=b",
)  # fmt: skip


class _Found(BaseException):
    """Raised to return the parser of a command."""


def inject(place: Place, random: np.random.Generator, count: int) -> Injected:
    """Call commands with one unexpected value each."""
    small = ("--data", "digits", "--steps", "1", "--offline")
    commands = {
        "zoo.train": ("ltfn1", *small, "--out", "new"),
        "zoo.compare": ("ltfn1", *small, "--seeds", "1", "--out", "study"),
        "zoo.evaluate": (place.run,),
        "zoo.predict": (place.run, place.picture),
        "zoo.draw": ("ltfn1",),
        "zoo.list": (),
        "export": (place.run, "--formats", "float32", "--out", "out"),
        "export.verify": (place.bundle,),
    }
    cases = [
        (command, option)
        for command in commands
        for option in (None, *_options(command))  # None: the first positional argument
    ]
    folder = place.folder / "words"
    for number in range(count):
        command, option = cases[int(random.integers(len(cases)))]
        value = VALUES[int(random.integers(len(VALUES)))]
        arguments = list(commands[command])
        if option is not None:
            arguments += [f"{option}={value}"] if value.startswith("-") else [option, value]
        else:
            arguments = [value, *arguments[1:]]
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "folder").mkdir(parents=True)
        (folder / "file").touch()
        before, runs = files_of(folder), files_of(place.run)
        fault = f"{number}: {command} {option or 'argument'} {value[:20]!r}"
        done = place.call(command, *arguments, cwd=folder)
        wrong = wrong_message(done)
        if not wrong and done.returncode and (left := files_of(folder) - before):
            wrong = f"it left {sorted(left)[:3]}"
        if not wrong and files_of(place.run) - runs - {"corruptions.png"}:
            wrong = "it left files in the run"
        yield fault, wrong


def _options(command: str) -> list[str]:
    """Return the options of a command that take a value."""
    name = command if command != "export" else "export.__main__"
    module = importlib.import_module(name)

    def carry(parser: cli.Parser, argv: object) -> None:
        raise _Found(parser)

    with mock.patch.object(cli.Parser, "parse_args", carry):
        try:
            module.main([])
        except _Found as found:
            (parser,) = found.args
    # argparse has no public list of a parser's options.
    return [
        action.option_strings[-1]
        for action in parser._actions
        if action.option_strings and not isinstance(action, _FLAGS)
    ]


_FLAGS = (argparse._StoreTrueAction, argparse._HelpAction)
