"""Draw the initial weights of a network as a recipe requires."""

from __future__ import annotations

import numpy as np
from etils import epy

from zoo.recipes import Recipe

with epy.lazy_imports():
    import keras


def initialize(model: keras.Model, recipe: Recipe) -> None:
    """Draw all kernels from the recipe's distribution with its seed; set all biases to zero.

    The kernels of a layer are its weights whose names end in ``kernel``: a separable convolution
    has two.
    """
    seed = keras.random.SeedGenerator(recipe.seed)
    normal = keras.initializers.RandomNormal(stddev=1.0, seed=seed)
    he = keras.initializers.HeNormal(seed=seed)
    glorot = keras.initializers.GlorotUniform(seed=seed)
    for layer in model.layers:
        relu = getattr(layer, "activation", None) is keras.activations.relu
        draw = {"normal": normal, "he": he if relu else glorot, "glorot": glorot}
        for weight in layer.weights:
            if is_kernel(weight):
                weight.assign(draw[recipe.initializer](weight.shape))
            elif weight.name.endswith("bias"):
                weight.assign(np.zeros(weight.shape, np.float32))


def is_kernel(weight: keras.Variable) -> bool:
    """Tell whether a weight is multiplied with inputs, other than a bias or a statistic."""
    return weight.name.endswith("kernel")
