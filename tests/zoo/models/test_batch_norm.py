from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from export.network.deploy import inference_model
from zoo.models.batch_norm import FusedBatchNormalization


def _trained(kind: type[keras.Layer], dtype: str, images: np.ndarray) -> list[np.ndarray]:
    """Return the outputs, gradients and moving averages of one step, and inference outputs."""
    layer = kind(momentum=0.9, dtype=dtype)
    layer.build(images.shape)
    layer.gamma.assign([1.5, 0.5, -2.0])
    layer.beta.assign([0.0, 1.0, 2.0])
    inputs = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs, training=True)
        total = tf.reduce_sum(tf.cast(outputs, tf.float32) ** 3)
    gradients = tape.gradient(total, [inputs, *layer.trainable_variables])
    after = layer(inputs, training=False)
    found: list[Any] = [outputs, *gradients, *layer.non_trainable_variables, after]
    return [np.asarray(each, np.float32) for each in found]


@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-5), ("mixed_bfloat16", 2e-2)])
@pytest.mark.parametrize("shape", [(4, 5, 6, 3), (9, 1, 1, 3)])
def test_it_computes_what_keras_layer_computes(
    dtype: str, bound: float, shape: tuple[int, ...]
) -> None:
    images = np.random.default_rng(0).normal(3, 2, shape).astype(np.float32)
    ours = _trained(FusedBatchNormalization, dtype, images)
    stock = _trained(keras.layers.BatchNormalization, dtype, images)
    for one, other in zip(ours, stock, strict=True):
        np.testing.assert_allclose(one, other, rtol=bound, atol=bound * np.abs(other).max())


def test_what_is_deployed_has_keras_own_layer() -> None:
    model = zoo.create_model("compact-4k")
    assert any(type(layer) is FusedBatchNormalization for layer in model.layers)
    deployed = {type(layer) for layer in inference_model(model).layers}
    assert keras.layers.BatchNormalization in deployed
    assert FusedBatchNormalization not in deployed
