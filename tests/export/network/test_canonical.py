"""Test the canonical form of a Keras classifier: one flat float32 network, equal outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from export.network.canonical import Canonical, canonicalize

SHAPE = (8, 8, 3)
IMAGES = np.random.default_rng(0).integers(0, 256, (6, *SHAPE)).astype(np.float32)

Head = Callable[[Any], Any]


def _body(x: Any) -> Any:
    x = layers.Conv2D(4, 3, activation="relu")(layers.Rescaling(1 / 255)(x))
    return layers.Flatten()(x)


def _model(head: Head) -> keras.Model:
    image = keras.Input(SHAPE)
    return keras.Model(image, head(_body(image)))


def _check(model: keras.Model, ending: str, shape: tuple[int, int, int] = SHAPE) -> Canonical:
    """Check that the canonical form returns the probabilities that the model defines."""
    found = canonicalize(model, name="mine", image_shape=shape)
    assert found.ending == ending
    own = model.predict(IMAGES[..., : shape[2]].reshape(-1, *model.inputs[0].shape[1:]), verbose=0)
    logits = found.model.predict(IMAGES[..., : shape[2]], verbose=0)
    probabilities = Canonical(found.model, "logits").probabilities(logits)
    np.testing.assert_allclose(probabilities, found.probabilities(own), atol=1e-5)
    assert np.ptp(probabilities) > 1e-3
    assert not any(isinstance(each, keras.Model) for each in found.model.operations)
    return found


@pytest.mark.parametrize(
    ("ending", "head"),
    [
        ("logits", layers.Dense(3)),
        ("softmax", layers.Dense(3, activation="softmax")),
        ("softmax", layers.Dense(3, activation=layers.Softmax())),
        ("softmax", lambda x: layers.Softmax()(layers.Dense(3)(x))),
        ("softmax", lambda x: layers.Activation("softmax")(layers.Dense(3)(x))),
        ("softmax", lambda x: ops.softmax(layers.Dense(3)(x))),
        ("softmax", lambda x: keras.activations.softmax(layers.Dense(3)(x))),
        ("softmax", lambda x: ops.cast(layers.Softmax()(layers.Dense(3)(x)), "float32")),
        ("softmax", lambda x: layers.Identity()(layers.Softmax()(layers.Dense(3)(x)))),
        (
            "softmax",
            lambda x: layers.Activation("linear")(layers.Dense(3, activation="softmax")(x)),
        ),
        (
            "softmax",
            lambda x: layers.Flatten()(
                layers.Conv2D(3, 1, activation="softmax")(layers.Reshape((1, 1, -1))(x))
            ),
        ),
        (
            "softmax",
            lambda x: ops.squeeze(ops.softmax(layers.Reshape((1, 3))(layers.Dense(3)(x))), 1),
        ),
        ("log_softmax", layers.Dense(3, activation="log_softmax")),
        ("log_softmax", lambda x: ops.log_softmax(layers.Dense(3)(x))),
        ("sigmoid", layers.Dense(1, activation="sigmoid")),
        ("sigmoid", lambda x: ops.sigmoid(layers.Dense(1)(x))),
        ("sigmoid", lambda x: ops.sigmoid(ops.sum(layers.Dense(2)(x), axis=1, keepdims=True))),
        ("logit", layers.Dense(1)),
    ],
)
def test_the_logits_before_any_ending_are_found(ending: str, head: Head) -> None:
    _check(_model(head), ending)


@pytest.mark.parametrize(
    ("reason", "head"),
    [
        ("multi-label network", layers.Dense(3, activation="sigmoid")),
        ("multi-label network", lambda x: ops.sigmoid(layers.Dense(3)(x))),
        ("ends the network with a tanh", layers.Dense(3, activation="tanh")),
        ("which is constant", layers.Dense(1, activation="softmax")),
        ("over axis 0", lambda x: layers.Softmax(axis=0)(layers.Dense(3)(x))),
    ],
)
def test_an_ending_that_cannot_be_taken_off_is_refused(reason: str, head: Head) -> None:
    with pytest.raises(ValueError, match=reason):
        canonicalize(_model(head), name="mine", image_shape=SHAPE)


def test_models_within_models_are_flattened() -> None:
    image = keras.Input(SHAPE)
    x = layers.Conv2D(4, 3, padding="same", name="conv")(image)
    inner = keras.Model(image, layers.Add()([x, layers.Conv2D(4, 1, name="other")(x)]))
    outer = keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Rescaling(1 / 255),
            inner,
            keras.Sequential([layers.Conv2D(4, 3, name="conv"), layers.GlobalMaxPooling2D()]),
            keras.Sequential([layers.Dense(3), layers.Softmax()]),
        ]
    )
    found = _check(outer, "softmax")
    names = [each.name for each in found.model.operations]
    assert {"conv", "other", "conv_1"} <= set(names)


def test_inputs_may_be_given_by_name() -> None:
    image = keras.Input(SHAPE)
    inner = keras.Model(image, layers.Conv2D(4, 3)(inputs=image))
    x = layers.Rescaling(1 / 255)(inputs=image)
    for layer in (layers.RandomFlip(), layers.Normalization(mean=0.5, variance=2.0), inner):
        x = layer(inputs=x)
    for layer in (layers.Flatten(), layers.Dropout(0.5), layers.Activation("linear")):
        x = layer(inputs=x)
    _check(keras.Model(image, layers.Dense(3, "softmax")(inputs=x)), "softmax")


def test_a_layer_that_is_called_twice_has_two_copies() -> None:
    shared = layers.Conv2D(3, 3, padding="same")
    image = keras.Input(SHAPE)
    x = layers.Flatten()(shared(shared(layers.Rescaling(1 / 255)(image))))
    found = _check(keras.Model(image, layers.Dense(3)(x)), "logits")
    assert sum(isinstance(each, layers.Conv2D) for each in found.model.operations) == 2


def test_layers_of_training_alone_are_left_out() -> None:
    training_only = [
        layers.RandomFlip(),
        layers.RandomRotation(0.2),
        layers.Pipeline([layers.RandomZoom(0.2), layers.RandomContrast(0.3)]),
        layers.GaussianNoise(0.5),
        layers.ActivityRegularization(0.1),
    ]
    kept = [layers.CenterCrop(6, 6), layers.Resizing(8, 8), layers.Rescaling(1 / 255)]
    head = [layers.SpatialDropout2D(0.3), layers.Flatten(), layers.Dropout(0.5), layers.Dense(3)]
    model = keras.Sequential([keras.Input(SHAPE), *training_only, *kept, *head])
    kinds = [type(each).__name__ for each in _check(model, "logits").model.operations]
    assert kinds == ["InputLayer", "CenterCrop", "Resizing", "Rescaling", "Flatten", "Dense"]


@pytest.mark.parametrize("axis", [-1, None, (1, 2, 3)])
@pytest.mark.parametrize("invert", [False, True])
def test_an_adapted_normalization_keeps_its_factors(axis: Any, invert: bool) -> None:
    layer = layers.Normalization(axis=axis, invert=invert)
    layer.adapt(IMAGES)
    scale = 1e-4 if invert else 1
    stack = [layer, layers.Rescaling(scale), layers.Flatten(), layers.Dense(3)]
    found = _check(keras.Sequential([keras.Input(SHAPE), *stack]), "logits")
    copy = keras.models.clone_model(found.model)
    copy.set_weights(found.model.get_weights())
    np.testing.assert_allclose(copy(IMAGES), found.model(IMAGES), rtol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16", "float64"])
def test_all_is_computed_in_float32(policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        x = image = keras.Input(SHAPE, dtype="uint8")
        x = layers.TimeDistributed(layers.Dense(4))(layers.Rescaling(1 / 255)(x))
        x = layers.MultiHeadAttention(2, 4)(x, x)
        x = layers.Dense(3)(layers.GlobalAveragePooling2D()(x))
        model = keras.Model(image, layers.Activation("softmax", dtype="float32")(x))
    finally:
        keras.config.set_dtype_policy("float32")
    found = canonicalize(model, name="mine", image_shape=SHAPE)
    flat = list(found.model._flatten_layers())
    assert {each.compute_dtype for each in flat} == {"float32"}
    assert {each.dtype for each in found.model.weights} == {"float32"}
    own = model.predict(IMAGES, verbose=0)
    given = keras.ops.softmax(found.model.predict(IMAGES, verbose=0))
    np.testing.assert_allclose(given, own, atol=0.02)


def test_images_without_an_axis_of_channels() -> None:
    image = keras.Input((8, 8))
    x = layers.Conv2D(4, 3)(keras.ops.expand_dims(layers.Rescaling(1 / 255)(image), -1))
    x = layers.Flatten()(x)
    found = _check(keras.Model(image, layers.Dense(3)(x)), "logits", (8, 8, 1))
    assert found.model.input_shape == (None, 8, 8, 1)


def test_slices_and_operations_without_layers() -> None:
    image = keras.Input(SHAPE)
    x = layers.Conv2D(6, 4, strides=4)(image / 255.0)
    tokens = layers.Reshape((4, 6))(x)
    y = layers.LayerNormalization()(tokens)
    tokens = tokens + layers.MultiHeadAttention(2, 3)(y, y)
    _check(keras.Model(image, layers.Dense(3)(tokens[:, 0])), "logits")


def test_a_quantized_network_is_refused() -> None:
    model = _model(layers.Dense(3))
    model.quantize("int8")
    with pytest.raises(ValueError, match=r"layer .* \(Dense\) cannot be copied: it is quantized"):
        canonicalize(model, name="mine", image_shape=SHAPE)


@pytest.mark.parametrize("rank", [None, 2])
def test_low_rank_adaptation_is_part_of_the_kernel(rank: int | None) -> None:
    image = keras.Input(SHAPE)
    conv, dense = layers.Conv2D(4, 3), layers.Dense(3)
    model = keras.Model(image, dense(layers.Flatten()(conv(layers.Rescaling(1 / 255)(image)))))
    if rank:
        for layer in (conv, dense):
            layer.enable_lora(rank, lora_alpha=2 * rank)
            layer.lora_kernel_b.assign(keras.random.normal(layer.lora_kernel_b.shape))
    found = _check(model, "logits")
    assert [tuple(weight.shape) for weight in found.model.get_layer(conv.name).weights] == [
        (3, 3, SHAPE[-1], 4),
        (4,),
    ]
