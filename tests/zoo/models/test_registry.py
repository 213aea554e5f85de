from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from tests.conftest import ROOT
from zoo.errors import InputError
from zoo.models import cost, registry

# name -> layer -> output shape without the batch axis; written by tools/update_golden.py.
SHAPES = json.loads((ROOT / "tests" / "golden_shapes.json").read_text(encoding="utf-8"))

# In a process with Keras alone, every network computes the same logits as here.
LOADED = """
import pathlib, sys, keras, numpy as np
pixels = np.load("pixels.npy")
for file in pathlib.Path().glob("*.keras"):
    logits = keras.saving.load_model(file)(pixels)
    np.testing.assert_allclose(logits, np.load(file.with_suffix(".npy")), rtol=1e-5, atol=1e-6)
assert not {"zoo", "export"} & sys.modules.keys()
"""

# As stated in the papers and posts, or computed from their layer tables.
PARAMETERS = {
    "all-cnn-a": 1_254_250,
    "all-cnn-b": 1_300_618,
    "all-cnn-c": 1_369_738,
    "cnn-a": 839_242,
    "cnn-b": 885_610,
    "cnn-c": 954_730,
    "convpool-cnn-a": 1_254_250,
    "convpool-cnn-b": 1_300_618,
    "convpool-cnn-c": 1_369_738,
    "strided-cnn-a": 839_242,
    "strided-cnn-b": 885_610,
    "strided-cnn-c": 954_730,
    "ltfn1": 784 * 10 + 10,
    "ltfn3": 784 * 500 + 500 + 500 * 500 + 500 + 500 * 10 + 10,
    "ltfn5": 321_738,
    "ltfn5-allconv": 506_250,
    "ltfn5-avgpool": 321_738,
    "ltfn5-convpool": 506_250,
    "ltfn5-strided": 321_738,
}


@pytest.fixture(scope="module", params=zoo.list_models())
def model(request: pytest.FixtureRequest) -> keras.Model:
    return zoo.create_model(request.param)


def test_every_model_has_its_golden_shapes() -> None:
    assert zoo.list_models() == sorted(SHAPES)


def test_parameters_are_the_papers() -> None:
    for name, count in PARAMETERS.items():
        assert registry.get_costs(name).parameters == count, name
    for name, limit in (("compact-4k", 4_000), ("compact-10k", 10_000), ("compact-40k", 40_000)):
        assert registry.get_costs(name).parameters < limit


def test_registered_facts(model: keras.Model) -> None:
    spec = registry.get_spec(model.name)
    assert spec.costs == registry.Costs(
        parameters=model.count_params(),
        multiply_adds=cost.multiply_adds(model),
        largest_activation=cost.largest_activation(model),
    )
    assert (model.input_shape, model.output_shape) == ((None, *spec.input_shape), (None, 10))


def test_layer_shapes(model: keras.Model) -> None:
    shapes = {layer.name: list(layer.output.shape[1:]) for layer in model.layers}
    assert shapes == SHAPES[model.name]


def test_the_smallest_image_is_the_smallest(model: keras.Model) -> None:
    spec = registry.get_spec(model.name)
    assert zoo.create_model(model.name, input_shape=(spec.smallest, spec.smallest, 2), classes=3)
    side = spec.smallest - 1
    with pytest.raises(InputError, match=rf"takes images of at least {spec.smallest}x"):
        zoo.create_model(model.name, input_shape=(side, 40, 1))
    if side:
        with pytest.raises(ValueError, match=r"negative|zero"):
            spec.build((side, side, 1), 10)


def test_takes_raw_pixels_of_any_type_and_gives_float32_logits(model: keras.Model) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, *model.input_shape[1:]), np.uint8)
    from_bytes, from_floats = model(pixels), model(pixels.astype(np.float32))
    assert from_bytes.dtype == "float32"
    assert from_bytes.shape == (3, 10)
    np.testing.assert_array_equal(from_bytes, from_floats)


@pytest.mark.parametrize("name", zoo.list_models())
def test_every_weight_gets_a_gradient(name: str) -> None:
    keras.utils.set_random_seed(0)
    model = zoo.create_model(name, input_shape=(16, 16, 1))
    pixels = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 1), np.uint8)
    with tf.GradientTape() as tape:
        cost = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(
            np.arange(4), model(pixels, training=True)
        )
    weights = model.trainable_variables
    for weight, gradient in zip(weights, tape.gradient(cost, weights), strict=True):
        assert gradient is not None, weight.path
        assert float(tf.reduce_max(tf.abs(gradient))) > 0, weight.path


def test_bfloat16_keeps_weights_and_logits_in_float32() -> None:
    model = zoo.create_model("ltfn5", precision="bfloat16")
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert model.get_layer("layer1").compute_dtype == "bfloat16"
    assert model(np.zeros((1, 28, 28, 1), np.uint8)).dtype == "float32"
    assert keras.config.dtype_policy().name == "float32"


def test_a_users_channels_first_does_not_reach_the_networks() -> None:
    keras.config.set_image_data_format("channels_first")
    try:
        assert zoo.create_model("ltfn5-avgpool").output_shape == (None, 10)
        assert keras.config.image_data_format() == "channels_first"
    finally:
        keras.config.set_image_data_format("channels_last")


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("ltfn5", (None, 7, 7, 128)),
        ("ltfn5-allconv-gap", (None, 7, 7, 128)),
        ("compact-40k", (None, 7, 7, 32)),
    ],
)
def test_a_network_without_its_top_ends_in_its_feature_maps(
    name: str, shape: tuple[int | None, ...]
) -> None:
    model = zoo.create_model(name, include_top=False)
    assert (model.name, model.output_shape) == (name, shape)
    pixels = np.zeros((2, 28, 28, 1), np.uint8)
    maps = model(pixels)
    for pooling, pool in (("avg", np.mean), ("max", np.max)):
        pooled = zoo.create_model(name, include_top=False, pooling=pooling)
        pooled.set_weights(model.get_weights())
        np.testing.assert_allclose(pooled(pixels), pool(maps, axis=(1, 2)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("ltfn5", {"classes": 0}, "at least one class, received 28x28x1 and 0 classes"),
        ("ltfn1", {"include_top": False}, "ltfn1 has no feature maps"),
        ("ltfn3", {"include_top": False}, "ltfn3 has no feature maps"),
        ("ltfn5", {"include_top": False, "pooling": "mean"}, "unknown pooling 'mean'"),
        ("ltfn5", {"pooling": "avg"}, "pooling='avg' requires include_top=False"),
    ],
)
def test_a_top_that_cannot_be_built_is_refused(
    name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        zoo.create_model(name, **options)


def test_networks_are_listed_by_a_pattern() -> None:
    assert zoo.list_models("*-cnn-c") == ["all-cnn-c", "convpool-cnn-c", "strided-cnn-c"]
    assert zoo.list_models("vgg") == []


def test_other_shapes_and_classes() -> None:
    assert zoo.create_model("ltfn5", input_shape=(32, 32, 3), classes=7).output_shape == (None, 7)


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match=r"unknown model 'ltfn55'; did you mean 'ltfn5"):
        zoo.create_model("ltfn55")


def test_every_network_is_saved_as_keras_own_layers(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 1), np.uint8)
    np.save(tmp_path / "pixels.npy", pixels)
    for name in zoo.list_models():
        model = zoo.create_model(name, input_shape=(16, 16, 1))
        model.save(tmp_path / f"{name}.keras")
        np.save(tmp_path / f"{name}.npy", model(pixels))
    # -I: the folder of this project is not on the path.
    subprocess.run([sys.executable, "-I", "-c", LOADED], cwd=tmp_path, check=True)
