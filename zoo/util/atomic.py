"""Atomic writes: after a crash, a file or folder is either complete or absent."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zoo.errors import ZooError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Numbers of the errors of a full disk."""


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of ``path``; rename it to ``path`` on success, else delete it.

    A killed process leaves the sibling behind, for ``remove_staged``.
    """
    # Processes of several machines may have the same number.
    stage = path.with_name(f".{os.getpid()}.{secrets.token_hex(4)}.{path.name}")
    try:
        with writing(path):
            yield stage
            sync(stage)
            stage.replace(path)
            sync(path.parent)
    finally:
        stage.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise an ``OSError`` that names ``path`` if the disk becomes full in the block.

    Python names no file when a write fails; TensorFlow and others raise their own errors.
    """
    try:
        yield
    except ZooError:
        raise
    except Exception as error:
        if number := _full_disk(error):
            raise OSError(number, os.strerror(number), str(path)) from error
        raise


def is_writable(folder: Path) -> bool:
    """Return whether this process may create files in a folder."""
    return os.access(folder, os.W_OK | os.X_OK)


def reserve(path: Path, size: int) -> None:
    """Reserve the blocks of a file of so many bytes, where the system can; create it if missing.

    Raises:
        OSError: the disk is full.
    """
    if hasattr(os, "posix_fallocate"):
        path.touch()
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, size)


def _full_disk(error: BaseException | None) -> int:
    """Return the number of the full disk's error that caused an exception, or 0."""
    while error is not None:
        if re.fullmatch(r"\d+ requested and \d+ written", str(error)):  # by ndarray.tofile
            return errno.ENOSPC
        for number in FULL:
            if getattr(error, "errno", None) == number or os.strerror(number) in str(error):
                return number
        error = error.__cause__ or error.__context__
    return 0


def is_staged(path: Path) -> bool:
    """Return whether a path is that of a file which ``staged`` has not renamed."""
    return re.fullmatch(r"\.\d+\..+", path.name) is not None


def remove_staged(folder: Path) -> None:
    """Remove what killed processes left in a folder that no other process writes to."""
    for path in folder.glob(".*"):
        if is_staged(path):
            path.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` to a file as indented JSON, atomically."""
    with staged(path) as stage:
        stage.write_text(json_text(value) + "\n", encoding="utf-8")


def json_text(value: Any) -> str:
    """Return ``value`` as indented JSON.

    Raises:
        ValueError: ``value`` contains a non-finite number, which JSON cannot represent.
    """
    return json.dumps(value, indent=2, allow_nan=False)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of(content: bytes) -> str:
    """Return the SHA-256 of bytes in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Flush a folder and everything below it to disk."""
    for path in sorted(folder.rglob("*")):
        sync(path)
    sync(folder)
