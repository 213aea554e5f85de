"""One trained ltfn5 and its bundles, made once for all items that need them."""

from __future__ import annotations

import atexit
import functools
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_STEPS = 300


@functools.cache
def run_folder() -> Path:
    """Return a run of ltfn5 on MNIST, trained for 300 steps."""
    scratch = tempfile.mkdtemp(prefix="ltfn-bench-")
    atexit.register(shutil.rmtree, scratch)
    folder = Path(scratch) / "ltfn5"
    _python(
        "zoo.train", "ltfn5", "--data", "mnist", "--offline", "--steps", _STEPS, "--out", folder
    )
    return folder


@functools.cache
def bundle(batch: int = 1) -> Path:
    """Return a bundle of that run, its LiteRT files with this batch."""
    out = run_folder().parent / f"batch{batch}"
    formats = "saved_model,float32,int8,int16x8,onnx,openvino"
    _python(
        "export", run_folder(), "--offline", "--formats", formats, "--batch", batch, "--out", out
    )
    return out / "1"


def _python(*arguments: object) -> None:
    subprocess.run(
        [sys.executable, "-m", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL
    )
