"""Recognize the paths of bundles, so that a message for a wrong path can name the right one."""

from __future__ import annotations

import os
from pathlib import Path

MANIFEST = "manifest.json"
CHECKSUM = "manifest.json.sha256"


def bundle_near(path: Path) -> Path | None:
    """Return the newest bundle in a folder of versions, or the bundle that a path is or is in."""
    versions = [each.parent for each in path.glob(f"*/{CHECKSUM}") if each.parent.name.isdecimal()]
    if versions:
        return max(versions, key=lambda version: int(version.name))
    return next((each for each in (path, *path.parents) if os.path.isfile(each / CHECKSUM)), None)


def hint(path: Path) -> str:
    """Return which bundle to give instead of a path that is near one; empty if there is none."""
    bundle = bundle_near(path)
    if bundle is None or bundle == path:
        return ""
    if bundle.parent == path:
        return f"give a version, such as {bundle} (the newest)"
    return f"give the bundle, {bundle}; in zoo.predict, --runtime selects its file"
