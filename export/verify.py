"""``python -m export.verify BUNDLE``: check a bundle's hashes and replay its golden inputs.

First every file's hash is checked, then the golden inputs are run through every file whose runtime
is installed. The dataset is not required, and TensorFlow only for the SavedModel.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from export.check.proof import FLOAT_DIFFERENCE
from export.convert import microcontroller
from zoo import cli
from zoo.bundles import integrity, runtimes
from zoo.bundles.integrity import Bundle
from zoo.errors import InputError, VerificationError
from zoo.util import backend

# The kernels of another processor may round integers differently, by one step in each layer.
_INTEGER_STEPS = 4  # multiple of the logits' scale
_DYNAMIC_DIFFERENCE = 1e-2  # fraction of the logits' range


def verify(folder: str | Path) -> list[str]:
    """Check a bundle's hashes and replay its golden inputs; return one line per file.

    Raises:
        DamagedError: a file is missing, altered, or not part of the bundle.
        VerificationError: a file cannot be loaded, or its logits have changed since publication.
    """
    bundle = integrity.open_bundle(folder)
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
        difference = _replay(predict_fn(bundle.golden_images), artifact)
        lines.append(f"{artifact['file']}: replayed, largest logit difference {difference:.2g}")
    if bundle.manifest["microcontroller"]:
        lines.append(_check_sources(bundle))
    return lines


def _replay(logits: np.ndarray, artifact: dict[str, Any]) -> float:
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


def main(argv: Sequence[str]) -> None:
    """Verify one bundle."""
    parser = cli.Parser(
        "export.verify", "Check the hashes of a bundle and replay its golden inputs."
    )
    parser.add_argument(
        "bundle", metavar="BUNDLE", help="a version's folder, such as exports/ltfn5/1"
    )
    arguments = parser.parse_args(argv)
    with contextlib.suppress(ImportError):
        backend.start_tensorflow()
    print("\n".join(verify(arguments.bundle)))


if __name__ == "__main__":
    cli.run("export.verify", main)
