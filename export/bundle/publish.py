"""From a stage to a version: what is published appears whole, by one rename, or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import InputError
from zoo.util import atomic


@contextmanager
def staging(out: Path) -> Iterator[Path]:
    """Yield a folder beside the versions, under a name no server loads; it never outlives us.

    What a killed export left there is removed: a stage is locked as long as its export lives.

    Args:
        out: folder of the versions; it is made.

    Raises:
        InputError: ``out`` cannot be written.
    """
    created = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        with _locked(out):
            for stale in out.glob(".staging-*"):
                _remove_if_abandoned(stale)
            stage = Path(tempfile.mkdtemp(prefix=".staging-", dir=out))
            lock = os.open(stage, os.O_RDONLY)
            fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        raise InputError(
            f"cannot write the export folder {out}: {error.strerror}; "
            "give one that can be written with --out"
        ) from error
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        os.close(lock)
        if created and not any(out.iterdir()):
            out.rmdir()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder for ourselves among the exports into it, for a moment."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_if_abandoned(stage: Path) -> None:
    descriptor = os.open(stage, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(stage, ignore_errors=True)
    except BlockingIOError:
        pass  # its export is at work
    finally:
        os.close(descriptor)


def publish(stage: Path, out: Path) -> Path:
    """Make the staged folder the next version, at once and for good; return it."""
    stage.chmod(0o755)  # mkdtemp's folders are for their owner alone
    atomic.sync_tree(stage)
    while True:
        version = out / str(1 + max(_versions(out), default=0))
        try:
            stage.rename(version)
        except OSError:
            # Another export took this number just now; if it did not, the error is a real one.
            if not version.exists():
                raise
        else:
            atomic.sync(out)
            return version


def _versions(out: Path) -> Sequence[int]:
    return [int(path.name) for path in out.iterdir() if path.name.isdecimal()]
