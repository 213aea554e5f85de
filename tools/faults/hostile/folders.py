"""Hostile runs and bundles, with the right hashes, as their author would write them."""

from __future__ import annotations

import json
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from tools.faults.hostile import Touch
from tools.faults.hostile.networks import declare_many, in_h5, link_elsewhere, pack_zeros
from zoo.bundles import integrity
from zoo.runs import Run, records
from zoo.util import atomic


def _weights(change: Callable[[h5py.File], None]) -> Callable[[Path], None]:
    """Return a function that changes the weights of a run."""

    def changed(folder: Path) -> None:
        run = Run(folder)
        result = run.read_result()
        in_h5(change)(run.weights)
        result["weights"]["sha256"] = atomic.sha256(run.weights)
        records.write(run.result, result)

    return changed


def _checkpoint(name: str, header: dict[str, object], *content: bytes) -> Callable[[Path], None]:
    """Return a function that makes a run unfinished, with one array in its checkpoint."""

    def changed(folder: Path) -> None:
        run = Run(folder)
        run.result.unlink()
        shutil.rmtree(run.checkpoints, ignore_errors=True)
        run.checkpoints.mkdir()
        path = run.checkpoints / "step-000000010.npz"
        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
            archive.open(f"{name}.npy", "w", force_zip64=True) as member,
        ):
            np.lib.format.write_array_header_1_0(member, {"fortran_order": False, **header})
            for block in content:
                member.write(block)

    return changed


def _named_elsewhere(bundle: Path) -> None:
    """Let the manifest name a file outside of the bundle."""
    path = bundle / integrity.MANIFEST
    manifest = json.loads(path.read_text(encoding="utf-8"))
    (artifact,) = [each for each in manifest["artifacts"] if each["format"] == "float32"]
    outside = "../outside.tflite"
    (bundle / artifact["file"]).rename(bundle / outside)
    manifest["files"][outside] = manifest["files"].pop(artifact["file"])
    artifact["file"] = outside
    atomic.write_json(path, manifest)
    checksum = f"{atomic.sha256(path)}  {integrity.MANIFEST}\n"
    (bundle / integrity.CHECKSUM).write_text(checksum, encoding="ascii")


_PICKLE = pickle.dumps(Touch())

RUNS = {
    "weights of 10,000,000,000 declared values": _weights(declare_many),
    "weights of 2 GB of packed zeros": _weights(pack_zeros),
    "weights with a link to another file": _weights(link_elsewhere),
}
"""Changes of a finished run."""

UNFINISHED = {
    "checkpoint of 2 GB of packed zeros": _checkpoint(
        "model/0000", {"descr": "<f4", "shape": (1 << 29,)}, *[bytes(1 << 20)] * (2 << 10)
    ),
    "checkpoint with a pickle": _checkpoint("_step", {"descr": "|O", "shape": ()}, _PICKLE),
}
"""Changes of a run that make it an unfinished one."""

BUNDLES = {"manifest that names another folder's file": _named_elsewhere}
"""Changes of a bundle."""
