"""The manifest of a bundle, and the check of every byte against it before use.

Requires no TensorFlow.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import DamagedError
from zoo.util import atomic, bundle_paths
from zoo.util.bundle_paths import CHECKSUM, MANIFEST

SCHEMA = 4

# Formats that require no TensorFlow; a bundle's first of these is its default.
_DEFAULT_ORDER = ("float32", "float16", "dynamic", "int8", "int16x8", "onnx", "openvino")


@dataclass(frozen=True)
class Bundle:
    """A bundle in which every file is unchanged since it was published.

    Attributes:
        folder: path of the bundle.
        manifest: content of ``manifest.json``, described in ``docs/bundle.md``.
    """

    folder: Path
    manifest: dict[str, Any]

    @property
    def golden_images(self) -> np.ndarray:
        """The golden inputs, uint8 [N, H, W, C]."""
        golden = self.manifest["golden"]
        pixels = np.frombuffer(base64.b64decode(golden["images_base64"]), golden["dtype"])
        return pixels.reshape(golden["shape"])

    def artifact(self, name: str) -> dict[str, Any] | None:
        """Return the manifest entry of the artifact in a format, None if there is none."""
        found = [each for each in self.manifest["artifacts"] if each["format"] == name]
        return found[0] if found else None

    @property
    def default_runtime(self) -> str:
        """The default format: one that requires no TensorFlow, if the bundle has one."""
        held = [each["format"] for each in self.manifest["artifacts"]]
        return next(name for name in (*_DEFAULT_ORDER, *held) if name in held)

    def path(self, artifact: dict[str, Any]) -> Path:
        """Return the path that a runtime opens: the file, or for a SavedModel the bundle folder."""
        whole = artifact["format"] == "saved_model"
        return self.folder if whole else self.folder / artifact["file"]


def seal(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest with the hash of every file, and a checksum file for the manifest."""
    manifest = manifest | {"schema": SCHEMA, "files": _facts_of_files(folder)}
    atomic.write_json(folder / MANIFEST, manifest)
    digest = atomic.sha256(folder / MANIFEST)
    # The format of sha256sum, so that `sha256sum -c` can check it.
    (folder / CHECKSUM).write_text(f"{digest}  {MANIFEST}\n", encoding="ascii")


def open_bundle(folder: str | Path) -> Bundle:
    """Open a bundle after checking every byte of it.

    Raises:
        DamagedError: a file is missing, altered, or not part of it; the message names it.

    >>> export.open_bundle("exports/ltfn5/1").manifest["model"]
    'ltfn5'
    """
    folder = Path(folder)
    manifest = _read_manifest(folder)
    expected, there = manifest["files"], _files(folder)
    if missing := sorted(expected.keys() - there.keys()):
        raise DamagedError(f"{folder / missing[0]} is missing")
    if strange := sorted(there.keys() - expected.keys()):
        raise DamagedError(f"{folder / strange[0]} is not part of the bundle")
    for name, facts in expected.items():
        if _facts(there[name]) != facts:
            raise DamagedError(
                f"{there[name]} was altered: its SHA-256 does not match the manifest"
            )
    return Bundle(folder, manifest)


def _read_manifest(folder: Path) -> dict[str, Any]:
    file = folder / MANIFEST
    try:
        content = file.read_bytes()
        checksum = (folder / CHECKSUM).read_bytes()
    except OSError as error:
        if hint := bundle_paths.hint(folder):
            raise DamagedError(f"{folder} is not a bundle; {hint}") from error
        raise DamagedError(
            f"{folder} is not a complete bundle: {Path(error.filename).name} cannot be read "
            f"({error.strerror})"
        ) from error
    if checksum != f"{atomic.sha256_of(content)}  {MANIFEST}\n".encode():
        raise DamagedError(f"{file} was altered: its SHA-256 does not match {CHECKSUM}")
    manifest = json.loads(content)
    if manifest["schema"] != SCHEMA:
        raise DamagedError(
            f"{file} has schema {manifest['schema']}, this version reads schema {SCHEMA}"
        )
    return manifest


def _files(folder: Path) -> dict[str, Path]:
    """Return the files that a manifest lists: all except itself and its checksum file."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    return {
        name: path
        for name, path in sorted(found.items())
        if (path.is_symlink() or not path.is_dir()) and name not in (MANIFEST, CHECKSUM)
    }


def _facts_of_files(folder: Path) -> dict[str, dict[str, Any]]:
    return {name: _facts(path) for name, path in _files(folder).items()}


def _facts(path: Path) -> dict[str, Any]:
    try:
        return {"sha256": atomic.sha256(path), "bytes": path.stat().st_size}
    except OSError as error:
        raise DamagedError(f"{path} cannot be read: {error.strerror}") from error
