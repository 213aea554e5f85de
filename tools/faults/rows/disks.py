"""Let the disk run full while a command writes to it."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tools.faults.harness import Injected, Place, wrong_message
from zoo.bundles import integrity
from zoo.errors import ZooError
from zoo.runs import Run, load_model
from zoo.util.atomic import is_staged

BEFORE = "4 of 12"
WHAT = "disk that becomes full while a command writes data, runs, pictures or exports"
COUNT = 40

# Mounts a small disk and runs a command; in a new mount namespace, this needs no root.
# Its arguments: the folder of the disk, its size, the folders of its first and its last content.
_SMALL_DISK = """
set -e
mount -t tmpfs -o "size=$2" tmpfs "$1"
cp -a "$3/." "$1"
disk=$1 after=$4
shift 4
code=0
"$@" || code=$?
cp -a "$disk/." "$after"
exit $code
"""
_LARGE = 1 << 30  # bytes, enough for each command
_PAGE = 4096  # bytes; Linux allots no less

_DISK = "disk"


@dataclass(frozen=True)
class _Case:
    """A command that writes to the disk.

    Attributes:
        arguments: the command.
        variable: environment variable that names the disk's folder, or "".
        earlier: what lies on the disk at first.
    """

    arguments: tuple[object, ...]
    variable: str = ""
    earlier: Path | None = None


def inject(place: Place, random: np.random.Generator, count: int) -> Injected:
    """Run commands with a disk that is too small; what was on it must still be usable."""
    small = ("--data", "digits", "--steps", "20", "--offline")
    export = ("export", place.run, "--formats", "saved_model,float32")
    cases = {
        "prepare": _Case(("zoo.train", "ltfn1", *small, "--out", "run"), "TFDS_DATA_DIR"),
        "train": _Case(("zoo.train", "ltfn1", *small, "--out", f"{_DISK}/ltfn1")),
        "train again": _Case(
            ("zoo.train", "ltfn1", *small, "--out", f"{_DISK}/ltfn1", "--force"),
            earlier=place.run.parent,
        ),
        "compare": _Case(
            ("zoo.compare", "ltfn1", *small, "--seeds", "1", "--out", f"{_DISK}/study")
        ),
        "draw": _Case(("zoo.draw", "ltfn1", "-o", f"{_DISK}/ltfn1.png")),
        "export": _Case((*export, "--out", _DISK), earlier=place.bundle.parent),
        "scratch": _Case((*export, "--out", "out"), "TMPDIR"),
    }
    sizes: dict[str, int] = {}
    for number in range(count):
        name = str(random.choice(list(cases)))
        case = cases[name]
        if name not in sizes:
            done, after, first = _run(place, case, _LARGE)
            assert done.returncode == 0, done.stderr
            sizes[name] = _size(after) - first or first
        room = int(random.uniform(0, 1.1 * sizes[name]))
        done, after, _ = _run(place, case, room)
        yield f"{number}: {name}, {room:,} free bytes", _wrong(done, after)


def _run(
    place: Place, case: _Case, room: int
) -> tuple[subprocess.CompletedProcess[str], Path, int]:
    """Run a command on a disk with some free bytes.

    Returns:
        How it ended, a copy of the disk's last content, and the size of the first in bytes.
    """
    folder = place.folder / "disks"
    shutil.rmtree(folder, ignore_errors=True)
    disk, before, after = folder / _DISK, folder / "before", folder / "after"
    for each in (disk, before, after):
        each.mkdir(parents=True)
    if case.earlier is not None:
        shutil.copytree(case.earlier, before, dirs_exist_ok=True)
    first = _size(before)
    line = ("unshare", "--map-root-user", "--mount", "sh", "-c", _SMALL_DISK, "small-disk")
    done = place.call(
        *case.arguments,
        cwd=folder,
        within=(*line, disk, max(_PAGE, first + room), before, after),
        environment={case.variable: str(disk)} if case.variable else {},
    )
    return done, after, first


def _wrong(done: subprocess.CompletedProcess[str], after: Path) -> str | None:
    if done.returncode not in (0, 1):
        return f"exit code {done.returncode}: {done.stderr[-300:]!r}"
    if wrong := wrong_message(done):
        return wrong
    if done.returncode and _DISK not in (line := done.stderr.splitlines()[-1]):
        return f"the message does not name the path: {line!r}"
    staged = [path for path in after.rglob(".*") if is_staged(path) or "staging" in path.name]
    if staged:
        return f"it left {staged[:3]}"
    try:
        for result in after.rglob("result.json"):
            Run(result.parent).read_result()
            load_model(result.parent)
        for manifest in after.rglob("manifest.json"):
            integrity.open_bundle(manifest.parent)
    except ZooError as error:
        return f"what it left cannot be used: {error}"
    return None


def _size(folder: Path) -> int:
    """Return the bytes that a folder's files take on a disk."""
    sizes = [path.stat().st_size for path in folder.rglob("*")]
    return sum(-(-size // _PAGE) * _PAGE + _PAGE for size in sizes)
