"""Stage a bundle in a temporary folder, and publish it as a version with one atomic rename."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from zoo.bundles import integrity
from zoo.errors import InputError
from zoo.util import atomic

_LOCK = ".lock"
_STAGES = ".staging-"


@contextmanager
def staging(out: Path) -> Iterator[Path]:
    """Yield a temporary folder next to the versions, for a bundle or for intermediate files.

    It is always removed on exit.

    No server loads it, since its name is not a number. Folders of killed exports are removed. A
    folder whose lock is held is still in use and is kept. A lock is a file next to it, because
    network file systems lock no folders.

    Args:
        out: parent folder of the versions; created if it does not exist.

    Raises:
        InputError: ``out`` cannot be written, or is itself a published version.
        OSError: the disk is full.
    """
    if (out / integrity.MANIFEST).exists():
        raise InputError(f"{out} is a published version; give its parent folder with --out")
    created = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        with FileLock(out / _LOCK):  # so that no folder is removed before it is locked
            for path in out.glob(f"{_STAGES}*"):
                _remove_if_abandoned(path.with_suffix(""))
            stage = Path(tempfile.mkdtemp(prefix=_STAGES, dir=out))
            lock = FileLock(_lock_of(stage))
            lock.acquire(timeout=0)
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
        _remove(stage)
        lock.release()
        if created:
            with contextlib.suppress(OSError), FileLock(out / _LOCK):
                (out / _LOCK).unlink()
                out.rmdir()  # fails if another export uses the folder


def _remove_if_abandoned(stage: Path) -> None:
    with contextlib.suppress(Timeout), FileLock(_lock_of(stage), timeout=0):
        _remove(stage)


def _remove(stage: Path) -> None:
    shutil.rmtree(stage, ignore_errors=True)
    _lock_of(stage).unlink(missing_ok=True)


def _lock_of(stage: Path) -> Path:
    return stage.with_suffix(".lock")


def publish(stage: Path, out: Path) -> Path:
    """Rename the staged folder to the next version, atomically and durably; return its path."""
    stage.chmod(0o755)  # mkdtemp gives access to the owner only
    atomic.sync_tree(stage)
    while True:
        version = out / str(1 + max(versions(out), default=0))
        try:
            stage.rename(version)
        except OSError:
            # If the version exists, another export has just taken its number: try the next one.
            if not version.exists():
                raise
        else:
            atomic.sync(out)
            return version


def versions(out: Path) -> Sequence[int]:
    """Return the numbers of the versions in a folder."""
    return [int(path.name) for path in out.iterdir() if path.name.isdecimal()]
