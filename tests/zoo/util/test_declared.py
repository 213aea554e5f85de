from __future__ import annotations

import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from zoo.util import declared


def test_the_values_of_an_honest_file_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["layers/dense/0"] = np.ones((3, 4), np.float32)
        file["layers/dense/1"] = np.ones(4, np.float32)
        file["again"] = file["layers/dense"]  # counted once
        file["empty"] = h5py.Empty("f4")
    assert declared.check_h5(path, path.stat().st_size) == 16
    with path.open("rb") as file:
        assert declared.check_h5(file, path.stat().st_size) == 16


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_an_array_that_the_file_does_not_hold_is_refused(
    compression: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("a", (10**10,), "f4", chunks=(1 << 20,), compression=compression)
    with pytest.raises(ValueError, match=r"declares 40,000,000,000 bytes; a file of [\d,]+ bytes"):
        declared.check_h5(path, path.stat().st_size)


@pytest.mark.parametrize("kind", ["soft", "external", "stored", "virtual"])
def test_an_array_in_another_place_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    other = tmp_path / "b.h5"
    other.write_bytes(bytes(40))
    with h5py.File(path, "w") as file:
        if kind == "soft":
            file["a"] = h5py.SoftLink("/b")
        elif kind == "external":
            file["a"] = h5py.ExternalLink(str(other), "/")
        elif kind == "stored":
            file.create_dataset("a", (10,), "f4", external=[(str(other), 0, 40)])
        else:
            layout = h5py.VirtualLayout((10,), "f4")
            layout[:] = h5py.VirtualSource(str(other), "b", (10,))
            file.create_virtual_dataset("a", layout)
    with pytest.raises(ValueError, match=r"a is (a link to another place|stored in another file)"):
        declared.check_h5(path, path.stat().st_size)


def test_a_zip_file_that_unpacks_to_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(1 << 20))
    declared.check_zip(path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        for number in range(40):
            archive.writestr(str(number), bytes(1 << 20))
    with pytest.raises(ValueError, match="it declares 42,991,616 bytes"):
        declared.check_zip(path)
