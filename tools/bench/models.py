"""A trained ltfn5 and its bundles, created once and shared by the benchmark items."""

from __future__ import annotations

import atexit
import functools
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_STEPS = 100


@functools.cache
def run_folder() -> Path:
    """Return a run of ltfn5 on MNIST, trained for 100 steps."""
    scratch = tempfile.mkdtemp(prefix="ltfn-bench-")
    atexit.register(shutil.rmtree, scratch)
    folder = Path(scratch) / "ltfn5"
    _python(
        "zoo.train", "ltfn5", "--data", "mnist", "--offline", "--steps", _STEPS, "--out", folder
    )
    return folder


def exports() -> Path:
    """Return the folder for the run's bundles, each of which has all formats."""
    return run_folder().parent / "exports"


@functools.cache
def bundle() -> Path:
    """Return the first bundle of ``exports()``; export it if that folder does not exist."""
    if not exports().exists():
        _python("export", run_folder(), "--offline", "--formats", "all", "--out", exports())
    return exports() / "1"


@functools.cache
def batched_bundle(batch: int) -> Path:
    """Return a bundle of the run's LiteRT files with this fixed batch size."""
    out = run_folder().parent / f"batch{batch}"
    options = ["--offline", "--formats", "float32,int8,int16x8", "--batch", batch]
    _python("export", run_folder(), *options, "--out", out)
    return out / "1"


def _python(*arguments: object) -> None:
    subprocess.run(
        [sys.executable, "-m", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL
    )
