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

    Every position of a convolution's output takes its whole kernel once per filter; biases,
    activations and batch normalisation (folded into the kernels of a deployed network) count not.
    """
    if isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D)):
        _, height, width, _ = layer.output.shape
        return height * width * math.prod(layer.kernel.shape)
    if isinstance(layer, layers.Dense):
        return math.prod(layer.kernel.shape)
    return 0


def largest_activation(model: keras.Model) -> int:
    """Return the bytes of the largest tensor between two layers, one float32 image."""
    return max(4 * math.prod(layer.output.shape[1:]) for layer in model.layers)
