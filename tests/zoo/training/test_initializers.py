from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from zoo import recipes
from zoo.training.initializers import initialize, named


class _Unnamed(layers.Layer):
    """A layer of a user, whose weights have no names."""

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], 8))
        self.bias = self.add_weight(shape=(8,))

    def call(self, x: Any) -> Any:
        return keras.ops.matmul(x, self.kernel) + self.bias


def test_what_is_not_trained_stays_as_it_is() -> None:
    image = keras.Input((28, 28, 1))
    fixed = layers.DepthwiseConv2D(3, depthwise_initializer="ones", bias_initializer="ones")
    trained = layers.Conv2D(4, 3, kernel_initializer="ones")
    model = keras.Model(image, trained(fixed(image)))
    fixed.trainable = False
    initialize(model, recipes.get_recipe("quick"))
    assert all(np.all(np.asarray(weight) == 1) for weight in fixed.weights)
    assert not np.any(np.asarray(trained.kernel) == 1)


@pytest.mark.parametrize(
    ("layer", "kernels"),
    [
        (layers.Conv2D(8, 3, activation="relu"), 1),
        (layers.SeparableConv2D(8, 3), 2),
        (layers.DepthwiseConv2D(3), 1),
        (layers.EinsumDense("bhwc,cd->bhwd", (28, 28, 8), bias_axes="d"), 1),
        (layers.MultiHeadAttention(2, 4), 4),
        (_Unnamed(), 1),
    ],
)
def test_every_kernel_is_drawn_and_every_bias_is_zero(layer: keras.Layer, kernels: int) -> None:
    image = keras.Input((28, 28, 16))
    is_attention = isinstance(layer, layers.MultiHeadAttention)
    model = keras.Model(image, layer(image, image) if is_attention else layer(image))
    for weight in model.weights:
        weight.assign(np.full(weight.shape, 100.0, np.float32))
    initialize(model, recipes.get_recipe("post"))
    found = {id(kernel) for layer in model.layers for kernel in named(layer, "kernel")}
    drawn = [np.asarray(weight) for weight in model.weights if id(weight) in found]
    assert len(drawn) == kernels
    assert 0.8 < np.std(np.concatenate([kernel.ravel() for kernel in drawn])) < 1.2
    others = [np.asarray(weight) for weight in model.weights if id(weight) not in found]
    assert others
    assert not any(other.any() for other in others)
