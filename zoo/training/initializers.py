"""Draw the initial weights of a network as a recipe requires."""

from __future__ import annotations

import numpy as np
from etils import epy

from zoo.recipes import Recipe

with epy.lazy_imports():
    import keras


def initialize(model: keras.Model, recipe: Recipe) -> None:
    """Draw all kernels from the recipe's distribution with its seed; set all biases to zero."""
    seed = keras.random.SeedGenerator(recipe.seed)
    normal = keras.initializers.RandomNormal(stddev=1.0, seed=seed)
    he = keras.initializers.HeNormal(seed=seed)
    glorot = keras.initializers.GlorotUniform(seed=seed)
    for layer in model.layers:
        if not hasattr(layer, "kernel"):
            continue
        relu = getattr(layer, "activation", None) is keras.activations.relu
        draw = {"normal": normal, "he": he if relu else glorot, "glorot": glorot}
        layer.kernel.assign(draw[recipe.initializer](layer.kernel.shape))
        if layer.use_bias:
            layer.bias.assign(np.zeros(layer.bias.shape, np.float32))
