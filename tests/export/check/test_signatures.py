"""Test that an answer of the SavedModel which contradicts its logits is found."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import zoo
from export.check import signatures
from export.convert import graph_preprocessing, saved_model
from export.network.deploy import inference_model
from zoo.data import Dataset
from zoo.errors import VerificationError


def _verify(folder: Path, dataset: Dataset, scratch: Path) -> None:
    images = scratch / "images.npy"
    np.save(images, dataset.test.images)
    signatures.verify(folder, dataset, np.arange(10), images, scratch)


def test_a_saved_model_is_checked_in_a_subprocess(digits: Dataset, tmp_path: Path) -> None:
    model = inference_model(zoo.load_model("ltfn1"))
    saved_model.save_serving(model, digits.class_names, digits.preprocessing, tmp_path / "1")
    _verify(tmp_path / "1", digits, tmp_path)
    # The same file with the names of other classes, or for pictures that are prepared otherwise.
    dark = dataclasses.replace(digits.preprocessing, polarity="dark-on-light")
    for changed, fault in (
        ({"class_names": tuple("abcdefghij")}, "the output label of serving_default contradicts"),
        ({"preprocessing": dark}, "the logits of serve_bytes differ by"),
    ):
        with pytest.raises(VerificationError, match=f"nothing was published: .*{fault}"):
            _verify(tmp_path / "1", dataclasses.replace(digits, **changed), tmp_path)


@pytest.mark.parametrize("output", ["class_id", "label", "probabilities"])
def test_each_output_is_compared(
    output: str, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {
        "argmax": lambda logits, axis: tf.math.argmin(logits, axis=axis),
        "gather": lambda names, at: tf.experimental.numpy.take(names, at)[::-1],
        "softmax": tf.math.sigmoid,
    }
    changed = {"class_id": "argmax", "label": "gather", "probabilities": "softmax"}[output]
    owner = tf.nn if output == "probabilities" else tf
    monkeypatch.setattr(owner, changed, wrong[changed])
    model = inference_model(zoo.load_model("ltfn1"))
    saved_model.save_serving(model, digits.class_names, digits.preprocessing, tmp_path / "1")
    monkeypatch.undo()
    images = digits.test.images[:20]
    found = signatures.faults(
        tmp_path / "1", images, images, digits.class_names, digits.preprocessing
    )
    assert f"the output {output} of serving_default contradicts the logits" in found
    assert f"the output {output} of serve_bytes contradicts the logits" in found


def test_a_picture_that_the_graph_decodes_otherwise_is_found(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = graph_preprocessing._prepare
    monkeypatch.setattr(
        graph_preprocessing, "_prepare", lambda *given: tf.reverse(pixels(*given), axis=[1])
    )
    model = inference_model(zoo.load_model("ltfn1"))
    saved_model.save_serving(model, digits.class_names, digits.preprocessing, tmp_path / "1")
    images = digits.test.images[:20]
    (fault,) = signatures.faults(
        tmp_path / "1", images, images, digits.class_names, digits.preprocessing
    )
    assert fault.startswith("the logits of serve_bytes differ by")
