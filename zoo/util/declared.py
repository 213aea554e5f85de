"""Check what HDF5 and zip files declare before anything in them is unpacked.

A file of a few kilobytes can declare arrays that exceed the memory of any machine, and HDF5 files
can refer to other files.
"""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath
from typing import IO

from etils import epy

with epy.lazy_imports():
    import h5py

# Weights hardly compress, so files that declare more than this are rejected.
_MOST_RATIO = 20
_ALWAYS_ALLOWED = 1 << 25  # bytes


def check_zip(path: Path) -> None:
    """Check the members of a zip file; Python never unpacks more bytes than they declare.

    Raises:
        ValueError: the members are too large for a file of this size, or not all in one folder.
        zipfile.BadZipFile: it is not a zip file.
    """
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.startswith("/") or ".." in PurePosixPath(name).parts:
                raise ValueError(f"its member {name} is outside of its folder")
        _check(sum(member.file_size for member in archive.infolist()), path.stat().st_size)


def check_h5(file: Path | IO[bytes], stored: int) -> int:
    """Check the arrays and links of an HDF5 file, and return the number of values in its arrays.

    Args:
        file: the file, or a binary file object.
        stored: its size in bytes.

    Raises:
        ValueError: the arrays are too large for a file of this size, or refer to other files.
        OSError: it is not an HDF5 file.
    """
    values = declared = 0
    with h5py.File(file, "r") as content:
        groups = [content]
        seen = set()
        while groups:
            group = groups.pop()
            for name in group:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise ValueError(f"{group.name}/{name} is a link to another place")
                item = group[name]
                address = h5py.h5o.get_info(item.id).addr
                if address in seen:
                    continue
                seen.add(address)
                if isinstance(item, h5py.Group):
                    groups.append(item)
                elif isinstance(item, h5py.Dataset):
                    if item.external or item.is_virtual:
                        raise ValueError(f"{item.name} is stored in another file")
                    values += item.size or 0
                    declared += (item.size or 0) * item.dtype.itemsize
    _check(declared, stored)
    return values


def _check(declared: int, stored: int) -> None:
    allowed = _ALWAYS_ALLOWED + _MOST_RATIO * stored
    if declared > allowed:
        raise ValueError(
            f"it declares {declared:,} bytes; a file of {stored:,} bytes may declare at most "
            f"{allowed:,}"
        )
