"""Verify a bundle: check every byte, and run its files on the recorded test images again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from export.check.proof import FLOAT_DIFFERENCE
from export.convert import microcontroller
from zoo.bundles import integrity, runtimes
from zoo.bundles.integrity import Bundle
from zoo.errors import InputError, VerificationError

# Kernels of different processors may round by one step in each layer; 4 steps allow for several
# layers. A step is the scale of the quantized logits.
_INTEGER_STEPS = 4
_DYNAMIC_DIFFERENCE = 1e-2  # fraction of the logits' range


def verify_bundle(folder: str | Path) -> list[str]:
    """Check a bundle's hashes and replay its golden inputs; return one line per file.

    Raises:
        DamagedError: a file is missing, altered, or not part of the bundle.
        VerificationError: a file cannot be loaded, or its logits have changed since publication.

    >>> lines = export.verify_bundle("exports/ltfn5/1")
    >>> lines[1]  # doctest: +ELLIPSIS
    'saved_model.pb: replayed, largest logit difference ...'
    """
    return replay(integrity.open_bundle(folder))


def replay(bundle: Bundle) -> list[str]:
    """Replay the golden inputs of a bundle whose hashes were checked, as ``verify_bundle`` does."""
    lines = [f"{len(bundle.manifest['files'])} files are unchanged since publication"]
    for artifact in bundle.manifest["artifacts"]:
        path = bundle.path(artifact)
        try:
            predict_fn = runtimes.load_predict_fn(path)
        except InputError as error:
            if not isinstance(error.__cause__, ImportError):
                raise VerificationError(str(error)) from error
            lines.append(
                f"{artifact['file']}: not replayed, {error.__cause__.name} is not installed"
            )
            continue
        difference = _difference(predict_fn(bundle.golden_images), artifact)
        lines.append(f"{artifact['file']}: replayed, largest logit difference {difference:.2g}")
    if bundle.manifest["microcontroller"]:
        lines.append(_check_sources(bundle))
    return lines


def _difference(logits: np.ndarray, artifact: dict[str, Any]) -> float:
    """Return the largest difference between a file's logits now and at publication."""
    recorded = np.array(artifact["golden_logits"], np.float32)
    if logits.shape != recorded.shape:
        raise VerificationError(
            f"{artifact['file']} returns logits of shape {logits.shape}, expected {recorded.shape}"
        )
    difference = float(np.abs(logits - recorded).max())
    bound = _bound(artifact)
    if not difference <= bound:
        raise VerificationError(
            f"{artifact['file']} differs by {difference:.3g} from its logits at publication, "
            f"allowed {bound:.3g}"
        )
    return difference


def _bound(artifact: dict[str, Any]) -> float:
    scale = artifact["outputs"]["logits"].get("scale")
    if scale:
        return _INTEGER_STEPS * scale
    share = _DYNAMIC_DIFFERENCE if artifact["format"] == "dynamic" else FLOAT_DIFFERENCE
    return share * artifact["logit_range"]


def _check_sources(bundle: Bundle) -> str:
    """Check that the microcontroller library contains exactly the int8 file."""
    int8 = bundle.artifact("int8")
    assert int8 is not None
    folder = bundle.folder / microcontroller.FOLDER
    if microcontroller.read_model(folder) != bundle.path(int8).read_bytes():
        raise VerificationError(
            f"{folder / microcontroller.MODEL_DATA} does not contain {int8['file']}"
        )
    return f"{microcontroller.FOLDER}/{microcontroller.MODEL_DATA}: identical to {int8['file']}"
