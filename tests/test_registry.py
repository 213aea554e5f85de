from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo import registry
from zoo.errors import InputError

# name -> output shape of each named layer, without the batch.
SHAPES = {
    "ltfn5": {
        "layer1": (28, 28, 64),
        "layer2": (28, 28, 64),
        "pool1": (14, 14, 64),
        "layer3": (14, 14, 128),
        "layer4": (14, 14, 128),
        "pool2": (7, 7, 128),
        "flatten": (6272,),
        "logits": (10,),
    }
}


@pytest.fixture(scope="module", params=zoo.list_models())
def model(request: pytest.FixtureRequest) -> keras.Model:
    return zoo.create_model(request.param)


def test_every_model_has_its_golden_shapes() -> None:
    assert zoo.list_models() == sorted(SHAPES)


def test_parameters(model: keras.Model) -> None:
    assert model.count_params() == registry.get_spec(model.name).parameters


def test_layer_shapes(model: keras.Model) -> None:
    shapes = {layer.name: layer.output.shape[1:] for layer in model.layers}
    assert {name: shapes.get(name) for name in SHAPES[model.name]} == SHAPES[model.name]


def test_takes_raw_pixels_of_any_type_and_gives_float32_logits(model: keras.Model) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, *model.input_shape[1:]), np.uint8)
    from_bytes, from_floats = model(pixels), model(pixels.astype(np.float32))
    assert from_bytes.dtype == "float32"
    assert from_bytes.shape == (3, 10)
    np.testing.assert_array_equal(from_bytes, from_floats)


def test_every_weight_gets_a_gradient(model: keras.Model) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, *model.input_shape[1:]), np.uint8)
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
    with pytest.raises(InputError, match=r"unknown model 'ltfn55'; did you mean 'ltfn5'\?"):
        zoo.create_model("ltfn55")


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ValueError, match="two models are called 'ltfn5'"):

        @registry.register_model(parameters=0, input_shape=(1, 1, 1), classes=1, origin="")
        def ltfn5() -> None: ...
