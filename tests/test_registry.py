from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo import cost, registry
from zoo.errors import InputError

# name -> layer -> output shape without the batch; tools/update_golden.py writes it.
SHAPES = json.loads((Path(__file__).parent / "golden_shapes.json").read_text(encoding="utf-8"))

# What the papers and posts print, or what follows from their layer tables.
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
        assert registry.get_spec(name).parameters == count, name
    for name, limit in (("compact-4k", 4_000), ("compact-10k", 10_000), ("compact-40k", 40_000)):
        assert registry.get_spec(name).parameters < limit


def test_registered_facts(model: keras.Model) -> None:
    spec = registry.get_spec(model.name)
    assert model.count_params() == spec.parameters
    assert cost.multiply_adds(model) == spec.multiply_adds
    assert cost.largest_activation(model) == spec.largest_activation
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


def test_other_shapes_and_classes() -> None:
    assert zoo.create_model("ltfn5", input_shape=(32, 32, 3), classes=7).output_shape == (None, 7)


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match=r"unknown model 'ltfn55'; did you mean 'ltfn5"):
        zoo.create_model("ltfn55")


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ValueError, match="two models are called 'ltfn5'"):

        @registry.register_model()
        def ltfn5() -> None: ...
