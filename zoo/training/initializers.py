"""Draw the initial weights of a network as a recipe requires."""

from __future__ import annotations

import numpy as np
from etils import epy

from zoo.recipes import Recipe

with epy.lazy_imports():
    import keras


def initialize(model: keras.Model, recipe: Recipe) -> None:
    """Draw all kernels from the recipe's distribution with its seed; set all biases to zero.

    What is not trained, such as a fixed filter, stays as it is.

    The kernels of a layer are its attribute ``kernel``, and its weights whose names end so: a
    separable convolution has two.
    """
    seed = keras.random.SeedGenerator(recipe.seed)
    normal = keras.initializers.RandomNormal(stddev=1.0, seed=seed)
    he = keras.initializers.HeNormal(seed=seed)
    glorot = keras.initializers.GlorotUniform(seed=seed)
    for layer in model.layers:
        relu = getattr(layer, "activation", None) is keras.activations.relu
        draw = {"normal": normal, "he": he if relu else glorot, "glorot": glorot}
        for kernel in named(layer, "kernel"):
            values = draw[recipe.initializer](kernel.shape)
            if kernel.trainable:
                kernel.assign(values)
        for bias in named(layer, "bias"):
            if bias.trainable:
                bias.assign(np.zeros(bias.shape, np.float32))


def named(layer: keras.Layer, name: str) -> list[keras.Variable]:
    """Return the weights of a layer whose name ends so, or that are its attribute of this name."""
    own = getattr(layer, name, None)
    return [weight for weight in layer.weights if weight is own or weight.name.endswith(name)]
