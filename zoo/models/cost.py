"""What one image costs a network: multiply-adds, and the memory of its largest activation."""

from __future__ import annotations

import math

from etils import epy

with epy.lazy_imports():
    import keras
    from keras import layers


def multiply_adds(model: keras.Model) -> int:
    """Return the multiplications with a weight in one forward pass of one image."""
    return sum(map(layer_multiply_adds, model.layers))


def layer_multiply_adds(layer: keras.Layer) -> int:
    """Return one layer's multiplications with a weight for one image.

    Every position of the output of a convolution or dense layer takes all kernels once. Biases,
    activations and batch normalisation (folded into the kernels of a deployed network) are not
    counted.
    """
    counted = layers.Conv1D, layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D
    if not isinstance(layer, (*counted, layers.Dense)):
        return 0
    positions = math.prod(layer.output.shape[1:-1])
    kernels = (weight for weight in layer.weights if len(weight.shape) > 1)
    return positions * sum(math.prod(kernel.shape) for kernel in kernels)


def largest_activation(model: keras.Model) -> int:
    """Return the bytes of the largest tensor between two layers, one float32 image."""
    outputs = keras.tree.flatten([layer.output for layer in model.layers])
    return max(4 * math.prod(tensor.shape[1:]) for tensor in outputs)
