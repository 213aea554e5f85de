"""Open hostile pictures, Keras files, runs and bundles."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from tools import peak_memory
from tools.faults.harness import Injected, Place, files_of, wrong_message
from tools.faults.hostile import MARK, folders, networks, pictures

BEFORE = "13 of 23"
WHAT = "picture, Keras file, run or bundle that runs code, uses much memory or reaches other files"

_MOST_MEMORY = 2  # times that of the same command with a harmless file


Case = tuple[str, str, Callable[[Path], tuple[object, ...]]]
"""What is hostile, the command that opens it, and a function that makes it in a folder and returns
the command's arguments."""


def inject(place: Place, random: np.random.Generator, count: int) -> Injected:
    """Open hostile files: none runs code, uses much memory, or makes a file elsewhere."""
    outer = place.folder / "hostile"
    cases = _cases(place)
    normal: dict[str, int] = {}
    for number, at in enumerate(random.permutation(len(cases))[:count]):
        name, command, make = cases[at]
        if command not in normal:
            _, normal[command] = _run(place, command, _HARMLESS[command](place, _new(outer)), outer)
        arguments = make(_new(outer))
        before = files_of(place.folder)
        done, peak = _run(place, command, arguments, outer)
        yield (
            f"{number}: {command}, {name}",
            (
                wrong_message(done)
                or _left(place, done, before)
                or (
                    f"it used {peak >> 10:,} MiB, usual are {normal[command] >> 10:,}"
                    if peak > _MOST_MEMORY * normal[command]
                    else None
                )
            ),
        )


def _new(outer: Path) -> Path:
    """Return a new folder for a command, in which files may be made."""
    shutil.rmtree(outer, ignore_errors=True)
    cwd = outer / "inner" / "cwd"
    cwd.mkdir(parents=True)
    return cwd


def _run(
    place: Place, command: str, arguments: tuple[object, ...], outer: Path
) -> tuple[subprocess.CompletedProcess[str], int]:
    """Run a command; return how it ended, and its peak memory in KiB."""
    peak = outer / "peak"
    within = (sys.executable, peak_memory.__file__, peak)
    done = place.call(command, *arguments, cwd=outer / "inner" / "cwd", within=within)
    return done, int(peak.read_text())


def _left(place: Place, done: subprocess.CompletedProcess[str], before: set[str]) -> str | None:
    """Return which files a command made that it must not make."""
    made = files_of(place.folder) - before - {"hostile/peak"}
    made = {path for path in made if not path.startswith("tfds") and not path.endswith(".lock")}
    if any(Path(path).name == MARK for path in made):
        return "it ran code of the file, or wrote elsewhere"
    return f"it left {sorted(made)[:3]}" if made and done.returncode else None


def _with_picture(place: Place, cwd: Path) -> tuple[object, ...]:
    """Return the arguments of a training on pictures, and make the pictures."""
    for name in ("a", "b"):
        (cwd / "data" / name).mkdir(parents=True)
        for number in range(10):
            shutil.copy(place.picture, cwd / "data" / name / f"{number}.png")
    return "ltfn1", "--data", "./data", "--steps", 1, "--out", "run"


_EXPORT = ("--data", "digits", "--formats", "float32", "--offline", "--out", "out")

_HARMLESS: dict[str, Callable[[Place, Path], tuple[object, ...]]] = {
    "zoo.predict": lambda place, cwd: (place.run, place.picture),
    "zoo.train": _with_picture,
    "zoo.evaluate": lambda place, cwd: (place.run,),
    "export": lambda place, cwd: (networks.harmless(cwd / "a.keras"), *_EXPORT),
    "export.verify": lambda place, cwd: (place.bundle,),
}


def _cases(place: Place) -> list[Case]:
    def predicted(kind: str, cwd: Path) -> tuple[object, ...]:
        return place.run, pictures.make(kind, cwd)

    def trained(kind: str, cwd: Path) -> tuple[object, ...]:
        arguments = _with_picture(place, cwd)
        pictures.make(kind, cwd / "data" / "a")
        return arguments

    def exported(kind: str, cwd: Path) -> tuple[object, ...]:
        return networks.make(kind, cwd), *_EXPORT

    def changed(change: Callable[[Path], None], folder: Path, cwd: Path) -> Path:
        copy = shutil.copytree(folder, cwd / folder.name)
        change(copy)
        return copy

    def evaluated(kind: str, cwd: Path) -> tuple[object, ...]:
        return (changed(folders.RUNS[kind], place.run, cwd),)

    def resumed(kind: str, cwd: Path) -> tuple[object, ...]:
        copy = changed(folders.UNFINISHED[kind], place.run, cwd)
        return place.run.name, "--resume", "--offline", "--out", copy

    def verified(kind: str, cwd: Path) -> tuple[object, ...]:
        return (changed(folders.BUNDLES[kind], place.bundle, cwd),)

    def answered(kind: str, cwd: Path) -> tuple[object, ...]:
        return changed(folders.BUNDLES[kind], place.bundle, cwd), place.picture

    ways = (
        ("zoo.predict", predicted, pictures.KINDS),
        ("zoo.train", trained, pictures.KINDS),
        ("export", exported, networks.KINDS),
        ("zoo.evaluate", evaluated, folders.RUNS),
        ("zoo.train", resumed, folders.UNFINISHED),
        ("export.verify", verified, folders.BUNDLES),
        ("zoo.predict", answered, folders.BUNDLES),
    )
    return [(kind, command, partial(make, kind)) for command, make, kinds in ways for kind in kinds]


COUNT = 2 * len(pictures.KINDS) + len(networks.KINDS) + len(folders.RUNS)
COUNT += len(folders.UNFINISHED) + 2 * len(folders.BUNDLES)
