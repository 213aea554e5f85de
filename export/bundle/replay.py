"""Verify a bundle: check every byte, and run its files on the recorded test images again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from export.check import signatures
from export.check.proof import FLOAT_DIFFERENCE
from export.convert import microcontroller
from zoo.bundles import integrity, runtimes
from zoo.bundles.integrity import Bundle
from zoo.data import preprocessing
from zoo.errors import InputError, VerificationError

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
        if artifact["format"] == "saved_model":
            _check_signatures(bundle)
        difference = _difference(artifact["file"], predict_fn(bundle.golden_images), artifact)
        lines.append(f"{artifact['file']}: replayed, largest logit difference {difference:.2g}")
        if artifact["format"] == "web":
            lines += _replay_beside(bundle, path)
    if bundle.manifest["microcontroller"]:
        lines.append(_check_sources(bundle))
    return lines


def _replay_beside(bundle: Bundle, page: Path) -> list[str]:
    """Replay the networks beside the first one of a page."""
    lines = []
    for at, row in enumerate(bundle.manifest["page_networks"]):
        if at and "golden_logits" in row:  # earlier versions did not record them
            predict_fn = runtimes.open_artifact(page, network=at).predict_fn
            name = f"{row['name']} in {page.name}"
            difference = _difference(name, predict_fn(bundle.golden_images), row)
            lines.append(f"{name}: replayed, largest logit difference {difference:.2g}")
    return lines


def _difference(name: str, logits: np.ndarray, recorded: dict[str, Any]) -> float:
    """Return the largest difference between a file's logits now and at publication."""
    expected = np.array(recorded["golden_logits"], np.float32)
    if logits.shape != expected.shape:
        raise VerificationError(
            f"{name} returns logits of shape {logits.shape}, expected {expected.shape}"
        )
    difference = float(np.abs(logits - expected).max())
    bound = _bound(recorded)
    if not difference <= bound:
        raise VerificationError(
            f"{name} differs by {difference:.3g} from its logits at publication, "
            f"allowed {bound:.3g}"
        )
    return difference


def _bound(recorded: dict[str, Any]) -> float:
    scale = recorded["outputs"]["logits"].get("scale") if "outputs" in recorded else None
    if scale:
        return runtimes.INTEGER_STEPS * scale
    share = _DYNAMIC_DIFFERENCE if recorded["format"] == "dynamic" else FLOAT_DIFFERENCE
    return share * recorded["logit_range"]


def _check_signatures(bundle: Bundle) -> None:
    """Check the outputs of the SavedModel beside its logits."""
    images, data = bundle.golden_images, bundle.manifest["data"]
    found = signatures.faults(
        bundle.folder, images, images, bundle.manifest["labels"], preprocessing.recorded(data)
    )
    if found:
        raise VerificationError("; ".join(found))


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
