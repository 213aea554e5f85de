"""Test the moving average of weights."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from zoo.training.averages import WeightAverage


def test_weights_are_averaged_and_counters_are_not() -> None:
    image = keras.Input((2, 2, 1))
    norm, dense = layers.Normalization(), layers.Dense(3)
    norm.adapt(np.arange(8.0).reshape(2, 2, 2, 1))
    model = keras.Model(image, dense(layers.Flatten()(norm(image))))
    optimizer = keras.optimizers.SGD(0.0)
    optimizer.build(model.trainable_variables)
    dense.kernel.assign(np.zeros(dense.kernel.shape))
    average = WeightAverage(model, optimizer, decay=0.5)
    dense.kernel.assign(np.ones(dense.kernel.shape))
    counter = int(norm.count)
    average.update()
    average.replace_weights()
    # In the first step the decay is 1 / 10.
    np.testing.assert_allclose(dense.kernel, 0.9, rtol=1e-6)
    assert int(norm.count) == counter
