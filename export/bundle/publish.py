"""Stage a bundle in a temporary folder, and publish it as a version with one atomic rename."""

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
    """Yield a temporary folder next to the versions, for a bundle or for intermediate files.

    It is always removed on exit.

    No server loads it, since its name is not a number. Folders of killed exports are removed. A
    locked folder is still in use and is kept.

    Args:
        out: parent folder of the versions; created if it does not exist.

    Raises:
        InputError: ``out`` cannot be written.
        OSError: the disk is full.
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
        if error.errno in atomic.FULL:
            raise
        raise InputError(
            f"cannot write the export folder {out}: {error.strerror}; "
            "give a writable folder with --out"
        ) from error
    try:
        with atomic.writing(out):
            yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        os.close(lock)
        if created and not any(out.iterdir()):
            out.rmdir()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold an exclusive lock on a folder, so that only one export at a time creates a stage."""
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
        pass  # its export is still running
    finally:
        os.close(descriptor)


def publish(stage: Path, out: Path) -> Path:
    """Rename the staged folder to the next version, atomically and durably; return its path."""
    stage.chmod(0o755)  # mkdtemp gives access to the owner only
    atomic.sync_tree(stage)
    while True:
        version = out / str(1 + max(_versions(out), default=0))
        try:
            stage.rename(version)
        except OSError:
            # If the version exists, another export has just taken its number: try the next one.
            if not version.exists():
                raise
        else:
            atomic.sync(out)
            return version


def _versions(out: Path) -> Sequence[int]:
    return [int(path.name) for path in out.iterdir() if path.name.isdecimal()]
