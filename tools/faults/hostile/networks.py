"""Hostile Keras files, and hostile weights of other files."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np

from tools.faults.hostile import MANY, MARK, Touch

_GIGABYTES = 2


def harmless(path: Path) -> Path:
    """Write a classifier of the digits that was not trained."""
    image = keras.Input((28, 28, 1))
    answer = keras.layers.Dense(10)(keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image)))
    keras.Model(image, answer).save(path)
    return path


def _rewrite(path: Path, member: str, change: Callable[[bytes], bytes]) -> None:
    """Change a member of a zip file."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members[member] = change(members.get(member, b""))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _configured(old: str, new: str) -> Callable[[Path], None]:
    def change(content: bytes) -> bytes:
        assert old.encode() in content, content
        return content.replace(old.encode(), new.encode())

    return lambda path: _rewrite(path, "config.json", change)


def _zeros_in_zip(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        weights = archive.read("model.weights.h5")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", weights)
        with archive.open("config.json", "w", force_zip64=True) as member:
            for _ in range(_GIGABYTES << 10):
                member.write(bytes(1 << 20))


def _inside(change: Callable[[h5py.File], None]) -> Callable[[Path], None]:
    """Return a function that changes the weights in a .keras file."""

    def changed(content: bytes) -> bytes:
        file = io.BytesIO(content)
        with h5py.File(file, "r+") as weights:
            change(weights)
        return file.getvalue()

    return lambda path: _rewrite(path, "model.weights.h5", changed)


def in_h5(change: Callable[[h5py.File], None]) -> Callable[[Path], None]:
    """Return a function that changes an HDF5 file."""

    def changed(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            change(file)

    return changed


def _remove_kernel(file: h5py.File) -> tuple[str, tuple[int, ...]]:
    """Remove the kernel of a dense layer; return its name and shape."""
    kernels = []

    def collect(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim == 2:
            kernels.append((name, item.shape))

    file.visititems(collect)
    name, shape = kernels[0]
    del file[name]
    return name, shape


def declare_many(file: h5py.File) -> None:
    """Let a kernel declare many values, none of which the file holds."""
    name, _ = _remove_kernel(file)
    file.create_dataset(name, (MANY,), "f4", chunks=(1 << 20,))


def pack_zeros(file: h5py.File) -> None:
    """Let a kernel hold 2 GiB of packed zeros."""
    name, _ = _remove_kernel(file)
    kernel = file.create_dataset(
        name, (_GIGABYTES << 10, 1 << 18), "f4", chunks=(1, 1 << 18), compression="gzip"
    )
    for row in range(len(kernel)):
        kernel[row] = 0


def link_elsewhere(file: h5py.File) -> None:
    """Let a kernel be in another file."""
    name, _ = _remove_kernel(file)
    file[name] = h5py.ExternalLink("/etc/passwd", "/")


def _store_elsewhere(file: h5py.File) -> None:
    name, shape = _remove_kernel(file)
    outside = [("/etc/passwd", 0, 4 * int(np.prod(shape)))]
    file.create_dataset(name, shape, "f4", external=outside)


_KINDS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "class of another module": (
        ".keras",
        _configured('"module": "keras.layers", "class_name": "Flatten"',
                    '"module": "os", "class_name": "system"'),
    ),
    f"layer of {MANY:,} units": (".keras", _configured('"units": 10,', f'"units": {MANY},')),
    "layer of 5,000,000 units": (".keras", _configured('"units": 10,', '"units": 5000000,')),
    "configuration of 2 GB": (".keras", _zeros_in_zip),
    "member outside of its folder": (
        ".keras",
        lambda path: _rewrite(path, f"../../{MARK}", lambda content: b"x"),
    ),
    f"{MANY:,} declared values": (".keras", _inside(declare_many)),
    "2 GB of packed zeros": (".keras", _inside(pack_zeros)),
    "link to another file": (".keras", _inside(link_elsewhere)),
    "array in another file": (".keras", _inside(_store_elsewhere)),
    f"HDF5 of {MANY:,} declared values": (".h5", in_h5(declare_many)),
    "HDF5 of 2 GB of packed zeros": (".h5", in_h5(pack_zeros)),
    "HDF5 with a link to another file": (".h5", in_h5(link_elsewhere)),
    "pickle": (".h5", lambda path: path.write_bytes(pickle.dumps(Touch()))),
}  # fmt: skip

KINDS = tuple(_KINDS)


def make(kind: str, folder: Path) -> Path:
    """Make a hostile Keras file in a folder, and return its path."""
    suffix, change = _KINDS[kind]
    path = harmless(folder / f"a{suffix}")
    change(path)
    return path
