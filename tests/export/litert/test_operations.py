from __future__ import annotations

import math
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from export.convert import saved_model, tflite
from export.litert.operations import operations


@pytest.mark.parametrize(
    ("kind", "described"),
    [
        ("float32", ["large", "pool", "small"]),
        ("float16", ["pool"]),
        # The converter keeps the small kernel in float32.
        ("dynamic", ["pool", "small"]),
    ],
)
def test_only_kernels_in_float32_are_described(
    kind: str, described: list[str], tmp_path: Path
) -> None:
    image = keras.Input((8, 8, 3))
    small = layers.Conv2D(16, 3, padding="same", name="small", bias_initializer="glorot_uniform")
    large = layers.Conv2D(64, 3, padding="same", name="large", bias_initializer="glorot_uniform")
    pooled = layers.MaxPooling2D(name="pool")(first := small(image))
    outputs = {"small": first, "pool": pooled, "large": (last := large(pooled))}
    logits = layers.Dense(2)(layers.Flatten()(last))
    saved_model.save_fixed(keras.Model(image, outputs | {"logits": logits}), tmp_path)
    content = tflite.convert(tmp_path, kind)
    found = operations(content)
    assert sorted(found) == described
    for layer in (small, large):
        if layer.name in found:
            kernel, bias = (found[layer.name][name] for name in ("kernel", "bias"))
            expected = np.moveaxis(layer.kernel.numpy(), 3, 0)
            np.testing.assert_array_equal(_values(content, kernel), expected)
            np.testing.assert_array_equal(_values(content, bias), layer.bias.numpy())


def _values(content: bytes, weights: dict) -> np.ndarray:
    count = math.prod(weights["shape"])
    return np.frombuffer(content, np.float32, count, weights["offset"]).reshape(weights["shape"])
