from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from zoo.errors import InputError
from zoo.util import atomic

FULL = os.strerror(errno.ENOSPC)

FAILURES = {
    "Python": OSError(errno.ENOSPC, FULL),
    "quota": OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
    "HDF5": RuntimeError(f"Can't write (errno = 28, error message = '{FULL}', buf = 0x5586)"),
    "TensorFlow": tf.errors.ResourceExhaustedError(None, None, f"saved_model.pb; {FULL}"),
    "NumPy": OSError("392000 requested and 40832 written"),
}


@pytest.mark.parametrize("library", FAILURES)
def test_the_error_of_a_full_disk_names_the_path(library: str, tmp_path: Path) -> None:
    with (
        pytest.raises(OSError, match=r"exceeded|No space") as caught,
        atomic.writing(tmp_path / "a"),
    ):
        raise FAILURES[library]
    assert caught.value.errno in atomic.FULL
    assert caught.value.filename == str(tmp_path / "a")


def test_it_is_found_behind_another_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=FULL), atomic.writing(tmp_path):
        raise KeyError("stage") from FAILURES["HDF5"]


@pytest.mark.parametrize(
    "error", [OSError(errno.EACCES, "Permission denied"), KeyError("x"), InputError(FULL)]
)
def test_another_error_stays_itself(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(type(error)) as caught, atomic.writing(tmp_path):
        raise error
    assert caught.value is error


def _fill(path: Path) -> None:
    np.save(path, np.zeros(10))
    raise FAILURES["NumPy"]


def test_no_file_is_left_without_space(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(b"earlier")
    with (
        pytest.raises(OSError, match=r"a\.npy"),
        atomic.staged(tmp_path / "a.npy") as stage,
    ):
        _fill(stage)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]
    assert (tmp_path / "a.npy").read_bytes() == b"earlier"
