"""Check what a SavedModel answers beside its logits, in a subprocess.

``export.check.proof`` compares the logits of ``serving_default`` with Keras. Programs also read the
class, its label and the probabilities, and send picture files. The command of the subprocess is::

    python -m export.check.signatures SAVED_MODEL IMAGES.npy FACTS.json FAULTS.json
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from etils import epy

from export import subprocesses
from export.check.proof import FLOAT_DIFFERENCE
from zoo import cli
from zoo.data import Dataset, preprocessing
from zoo.data.preprocessing import Preprocessing
from zoo.errors import VerificationError
from zoo.metrics import softmax
from zoo.util import atomic, backend

with epy.lazy_imports():
    import tensorflow as tf

_BATCH = 500
_PROBABILITY_DIFFERENCE = 1e-6  # several times the rounding of a float32 softmax


def verify(
    folder: Path, dataset: Dataset, pictures: np.ndarray, images: Path, scratch: Path
) -> None:
    """Check the signatures of a SavedModel on every test image.

    Args:
        folder: the SavedModel.
        dataset: its class names and preprocessing are those of the network.
        pictures: indices of the test images that are also sent as picture files.
        images: the test images as a ``.npy`` file.
        scratch: folder for the files of the subprocess.

    Raises:
        VerificationError: an output contradicts the logits, or a picture file is prepared in
            another way than in Python.
        ZooError: the subprocess failed.
    """
    facts, answer = scratch / "signatures.json", scratch / "faults.json"
    atomic.write_json(
        facts,
        {
            "labels": list(dataset.class_names),
            "preprocessing": dataset.preprocessing.record(),
            "pictures": pictures.tolist(),
        },
    )
    subprocesses.run_module("export.check.signatures", folder, images, facts, answer)
    if found := json.loads(answer.read_text(encoding="utf-8")):
        raise VerificationError(f"nothing was published: {'; '.join(found)}")


def faults(
    folder: Path,
    images: np.ndarray,
    pictures: np.ndarray,
    labels: Sequence[str],
    wanted: Preprocessing,
) -> list[str]:
    """Return a description of each contradiction in the answers of a SavedModel.

    Args:
        folder: the SavedModel.
        images: uint8 [N, H, W, C], for ``serving_default``.
        pictures: uint8 [N, H, W, C], sent to ``serve_bytes`` as PNG files.
        labels: class names in the order of the logits.
        wanted: how pictures are prepared.
    """
    loaded = tf.saved_model.load(str(folder))
    serve = loaded.signatures["serving_default"]
    found = set()
    for at in range(0, len(images), _BATCH):
        answer = serve(image=tf.constant(images[at : at + _BATCH]))
        found |= _contradictions("serving_default", answer, labels)
    if "serve_bytes" in loaded.signatures:
        files = [tf.io.encode_png(picture).numpy() for picture in pictures]
        answer = loaded.signatures["serve_bytes"](image_bytes=tf.constant(files))
        found |= _contradictions("serve_bytes", answer, labels)
        whole = dataclasses.replace(wanted, ink=False)
        prepared = [
            preprocessing.prepare(preprocessing.decode(file), whole).image for file in files
        ]
        expected = serve(image=tf.constant(np.stack(prepared)))["logits"].numpy()
        difference = np.abs(answer["logits"].numpy() - expected).max()
        if not difference <= FLOAT_DIFFERENCE * np.ptp(expected):
            found.add(
                f"the logits of serve_bytes differ by {difference:.3g} from those of the pictures "
                "prepared in Python"
            )
    return sorted(found)


def _contradictions(signature: str, answer: dict[str, Any], labels: Sequence[str]) -> set[str]:
    """Return a description of each output of a signature that its logits contradict."""
    logits = answer["logits"].numpy()
    predicted = logits.argmax(axis=1)
    difference = np.abs(answer["probabilities"].numpy() - softmax(logits)).max()
    names = [name.decode() for name in answer["label"].numpy()]
    agrees = {
        "class_id": np.array_equal(answer["class_id"].numpy(), predicted),
        "label": names == [labels[each] for each in predicted],
        "probabilities": difference <= _PROBABILITY_DIFFERENCE,
    }
    return {
        f"the output {name} of {signature} contradicts the logits"
        for name, is_right in agrees.items()
        if not is_right
    }


def main(argv: Sequence[str]) -> None:
    """Write the faults of one SavedModel."""
    parser = cli.Parser("export.check.signatures", "Check the signatures of one SavedModel.")
    parser.add_argument("folder", type=Path, metavar="SAVED_MODEL")
    parser.add_argument("images", type=Path, metavar="IMAGES.npy")
    parser.add_argument("facts", type=Path, metavar="FACTS.json")
    parser.add_argument("answer", type=Path, metavar="FAULTS.json")
    arguments = parser.parse_args(argv)
    backend.start_tensorflow()
    images = np.load(arguments.images, mmap_mode="r")
    facts = json.loads(arguments.facts.read_text(encoding="utf-8"))
    found = faults(
        arguments.folder,
        images,
        images[facts["pictures"]],
        facts["labels"],
        Preprocessing(**facts["preprocessing"]),
    )
    atomic.write_json(arguments.answer, found)


if __name__ == "__main__":
    cli.run("export.check.signatures", main)
