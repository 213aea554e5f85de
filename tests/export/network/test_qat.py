"""Test fine-tuning for an int8 file that loses too much accuracy."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import keras
import numpy as np
import pytest

import zoo
from export import formats
from export.network import qat
from export.network.deploy import inference_model
from export.network.qat import finetuned
from export.network.sources import Source, from_run
from export.pipeline import Request, export_bundle
from zoo.data import Dataset
from zoo.runs import Run


def _unbalanced(model: keras.Model, factor: float) -> None:
    """Scale some channels up and their readers down: the same function, hard to quantize."""
    norm, reader = model.get_layer("layer2_norm"), model.get_layer("layer3")
    gamma, beta, kernel = norm.gamma.numpy(), norm.beta.numpy(), reader.kernel.numpy()
    gamma[:3] *= factor
    beta[:3] *= factor
    kernel[:, :, :3, :] /= factor
    norm.gamma.assign(gamma)
    norm.beta.assign(beta)
    reader.kernel.assign(kernel)


@pytest.fixture
def source(small: Path) -> Source:
    found = from_run(Run(small / "runs" / "compact-10k"))
    _unbalanced(found.model, 40.0)
    return dataclasses.replace(found, deployed=inference_model(found.model))


@pytest.mark.long
def test_fine_tuning_restores_the_accuracy(source: Source, digits: Dataset, tmp_path: Path) -> None:
    told: list[str] = []
    request = Request(formats=formats.choose("microcontroller"))
    version, _ = export_bundle(source, digits, request, tmp_path, told.append)
    assert any("fine-tuning it with simulated quantization" in line for line in told)
    facts = json.loads((version / "manifest.json").read_text())["finetuned"]
    assert facts["validation_losses_before"] > 2 >= facts["validation_losses_after"]
    assert "fine-tuned with simulated quantization" in (version / "README.md").read_text()


@pytest.mark.slow
def test_a_file_that_fine_tuning_does_not_improve_is_kept(
    source: Source, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def worse(model: keras.Model, *given: object) -> keras.Model:
        copy = keras.models.clone_model(model)
        copy.set_weights([0 * weight for weight in model.get_weights()])
        return copy

    monkeypatch.setattr(qat, "finetuned", worse)
    announced: list[str] = []
    chosen = formats.bounded(formats.choose("int8"), {"int8": 100.0}, allow_drop=True)
    version, _ = export_bundle(source, digits, Request(formats=chosen), tmp_path, announced.append)
    assert any("so the first one is kept" in line for line in announced)
    manifest = json.loads((version / "manifest.json").read_text())
    assert manifest["finetuned"] is None
    (int8,) = (each for each in manifest["artifacts"] if each["format"] == "int8")
    assert int8["test_correct"] > len(digits.test) // 2


def test_a_network_that_loses_nothing_is_left_alone(small: Path) -> None:
    manifest = json.loads((small / "exports/compact-10k/1/manifest.json").read_text())
    assert manifest["finetuned"] is None


def test_every_weight_is_trained_and_the_network_kept(digits: Dataset) -> None:
    model = zoo.create_model("compact-4k", input_shape=digits.image_shape)
    before = [weight.numpy() for weight in model.weights]
    result = finetuned(model, digits.train, digits.train.images[:64], steps=3)
    assert [each.name for each in result.layers] == [each.name for each in model.layers]
    for weight, old in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, old)
    for weight, old in zip(result.weights, before, strict=True):
        trained = "moving" not in weight.path
        assert np.array_equal(weight, old) != trained, weight.path
