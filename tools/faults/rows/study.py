"""Kill two of three processes at any moment of the study that they share."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import numpy as np

from tools.faults.harness import Injected, Place
from tools.faults.rows.kills import contents, differing

BEFORE = ""
WHAT = "SIGKILL of two of three processes that train the networks of one study"
COUNT = 20

_STUDY = (
    *("zoo.compare", "ltfn1", "ltfn3", "--data", "digits", "--steps", 100, "--seeds", 2),
    *("--set", "threads=1", "--set", "shards=1", "--offline"),
)
_PROCESSES = 3
_SECONDS = 600  # in which the survivor must end


def inject(place: Place, random: np.random.Generator, count: int) -> Injected:
    """Kill all processes of a study but one, which must finish it as one process alone does."""
    folder = place.folder / "study"
    folder.mkdir()
    begin = time.monotonic()
    done = place.call(*_STUDY, "--out", "whole", cwd=folder)
    assert done.returncode == 0, done.stderr
    seconds = time.monotonic() - begin
    names = _runs(folder / "whole")
    whole = {name: contents(folder / "whole" / name) for name in names}
    for number in range(count):
        shutil.rmtree(folder / "shared", ignore_errors=True)
        moments = np.sort(random.uniform(0, seconds, _PROCESSES - 1))
        survivor, *killed = (
            place.start(*_STUDY, "--out", "shared", cwd=folder) for _ in range(_PROCESSES)
        )
        wrong = _end(survivor, list(zip(killed, moments, strict=True)))
        differences = [
            f"{name}: {found}"
            for name in (() if wrong else names)
            if (found := differing(whole[name], folder / "shared" / name))
        ]
        if not wrong and _runs(folder / "shared") != names:
            wrong = "other runs than those of one process"
        described = " and ".join(f"{moment:.2f}" for moment in moments)
        yield f"{number}: after {described} seconds", wrong or "; ".join(differences) or None


def _runs(study: Path) -> list[str]:
    return sorted(path.name for path in study.iterdir() if path.is_dir())


def _end(
    survivor: subprocess.Popen[str], killed: list[tuple[subprocess.Popen[str], float]]
) -> str | None:
    """Kill processes after some seconds each, and return what is wrong with the survivor's end."""
    begin = time.monotonic()
    for process, moment in killed:
        time.sleep(max(0.0, begin + moment - time.monotonic()))
        process.kill()
        process.communicate()
    try:
        _, errors = survivor.communicate(timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        survivor.kill()
        survivor.communicate()
        return f"the study did not end within {_SECONDS} seconds"
    return f"exit code {survivor.returncode}: {errors[-300:]}" if survivor.returncode else None
