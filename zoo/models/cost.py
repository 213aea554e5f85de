"""The multiply-adds of a network for one image, and the memory of its largest activation."""

from __future__ import annotations

import math

from etils import epy

with epy.lazy_imports():
    import keras
    from keras import layers


def multiply_adds(model: keras.Model) -> int:
    """Return the number of multiplications by a weight in a forward pass of one image."""
    return sum(map(layer_multiply_adds, model.layers))


def layer_multiply_adds(layer: keras.Layer) -> int:
    """Return a layer's number of multiplications by a weight for one image.

    Each output position of a convolution or dense layer uses every kernel weight once. Biases,
    activations and batch normalization (folded into the kernels of a deployed network) are not
    counted.
    """
    counted = layers.Conv1D, layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D
    if not isinstance(layer, (*counted, layers.Dense)):
        return 0
    positions = math.prod(layer.output.shape[1:-1])
    kernels = (weight for weight in layer.weights if len(weight.shape) > 1)
    return positions * sum(math.prod(kernel.shape) for kernel in kernels)


def largest_activation(model: keras.Model) -> int:
    """Return the bytes of the largest tensor between two layers, for one float32 image."""
    outputs = keras.tree.flatten([layer.output for layer in model.layers])
    return max(4 * math.prod(tensor.shape[1:]) for tensor in outputs)
