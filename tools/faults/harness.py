"""Run commands under faults, and store how often they behaved as documented."""

from __future__ import annotations

import datetime
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from zoo.util import atomic
from zoo.util.environment import machine, versions

ROOT = Path(__file__).parent.parent.parent
RESULTS = Path(__file__).parent / "results"

CODES = (1, 2, 3, 4, 5, 130, 143)
"""The documented exit codes of a command that failed."""

_SECONDS = 600

Injected = Iterator[tuple[str, str | None]]
"""The description of each fault, and what was wrong after it, or None."""


@dataclass(frozen=True)
class Place:
    """What the faults need.

    Attributes:
        folder: a folder for their files.
        environment: environment of the commands.
        run: a finished run.
        bundle: its bundle.
        picture: a picture of a digit.
    """

    folder: Path
    environment: dict[str, str]
    run: Path
    bundle: Path
    picture: Path

    def start(
        self,
        *arguments: object,
        cwd: Path,
        within: Sequence[object] = (),
        environment: dict[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """Start ``python -m arguments`` in a folder.

        Args:
            arguments: the module and its arguments.
            cwd: the folder.
            within: a command line that runs another one, which is appended to it.
            environment: variables to add.
        """
        return subprocess.Popen(
            [*map(str, within), sys.executable, "-m", *map(str, arguments)],
            cwd=cwd,
            env=self.environment | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="surrogateescape",
        )

    def call(
        self, *arguments: object, cwd: Path, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run ``python -m arguments`` until it ends; the options are those of ``start``."""
        with self.start(*arguments, cwd=cwd, **options) as process:
            output, errors = process.communicate(timeout=_SECONDS)
        return subprocess.CompletedProcess(
            [*map(str, arguments)], process.returncode, output, errors
        )


@contextmanager
def prepared() -> Iterator[Place]:
    """Yield a place, made by the commands themselves; it is removed at the end."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        environment = {
            "TFDS_DATA_DIR": str(folder / "tfds"),
            "TMPDIR": str(folder / "tmp"),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
        }
        (folder / "tmp").mkdir()
        place = Place(
            folder,
            os.environ | environment,
            run=folder / "runs" / "ltfn1",
            bundle=folder / "exports" / "ltfn1" / "1",
            picture=folder / "digit.png",
        )
        steps = ("--data", "digits", "--steps", 20, "--offline")
        for arguments in (
            ("zoo.train", "ltfn1", *steps),
            ("export", "runs/ltfn1", "--formats", "saved_model,float32"),
        ):
            done = place.call(*arguments, cwd=folder)
            assert done.returncode == 0, done.stderr
        done = place.call("tools.faults.picture", place.picture, cwd=folder)
        assert done.returncode == 0, done.stderr
        yield place


def wrong_message(done: subprocess.CompletedProcess[str]) -> str | None:
    """Return what is wrong with how a command ended, or None.

    It must succeed, or print one line and exit with a documented code.
    """
    if done.returncode == 0:
        return None
    program = done.args[0]
    if done.returncode not in CODES:
        return f"exit code {done.returncode}: {done.stderr[-300:]}"
    lines = done.stderr.splitlines()
    # Lines before it report the dataset and the progress.
    if not lines or not re.match(rf"{re.escape(program)}: ", lines[-1]):
        return f"the last line is not its message: {done.stderr[-300:]!r}"
    if "Traceback" in done.stderr:
        return f"a traceback: {done.stderr[-300:]}"
    return None


def flip_bit(path: Path, content: bytes, random: np.random.Generator) -> int:
    """Write content with one flipped bit to a file; return the position of the bit."""
    at = int(random.integers(8 * len(content)))
    flipped = bytearray(content)
    flipped[at // 8] ^= 1 << (at % 8)
    path.write_bytes(flipped)
    return at


def files_of(folder: Path) -> set[str]:
    """Return the paths of all files and folders below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def save(
    row: str, what: str, before: str, seed: int, outcomes: Iterable[tuple[str, str | None]]
) -> int:
    """Store the outcomes of a row, and return how many were wrong."""
    outcomes = list(outcomes)
    wrong = {fault: found for fault, found in outcomes if found}
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{row}-{seed}.json"
    record: dict[str, Any] = {
        "what": what,
        "before": before,
        "date": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
        "seed": seed,
        "injected": len(outcomes),
        "wrong": wrong,
        "machine": machine(),
        "versions": versions(),
    }
    atomic.write_json(path, record)
    return len(wrong)


def table() -> str:
    """Return the stored results as a Markdown table, the seeds of each row together."""
    rows: dict[str, list[dict[str, Any]]] = {}
    machines = set()
    for path in sorted(RESULTS.glob("*.json")):
        stored = json.loads(path.read_text(encoding="utf-8"))
        rows.setdefault(stored["what"], []).append(stored)
        used = stored["versions"]
        machines.add(
            f"{stored['date']}, {stored['machine']['processor']}, TensorFlow {used['tensorflow']}, "
            f"Keras {used['keras']}"
        )
    lines = ["| fault | at c59ba41 | injected | seeds | as documented |", "|---|---|---|---|---|"]
    for what, runs in rows.items():
        injected = sum(each["injected"] for each in runs)
        good = injected - sum(len(each["wrong"]) for each in runs)
        seeds = ", ".join(str(each["seed"]) for each in runs)
        lines.append(f"| {what} | {runs[0]['before']} | {injected:,} | {seeds} | {good:,} |")
    before = "at c59ba41: as documented of the tried, at this commit"
    return "\n".join([*lines, "", f"({before}; {'; '.join(sorted(machines))})"])
