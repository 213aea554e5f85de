"""Build the network for deployment: float32, inference only, scaling folded into a kernel."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from etils import epy

with epy.lazy_imports():
    import keras
    from keras import layers

# Operations that rearrange, drop or resample pixels, but do not change their scale.
_REARRANGING = {
    "CenterCrop", "Cropping2D", "Flatten", "GetItem", "Permute", "RandomCrop", "Reshape",
    "Resizing", "Squeeze", "Transpose", "UpSampling2D", "ZeroPadding2D",
}  # fmt: skip


def inference_model(model: keras.Model) -> keras.Model:
    """Return a copy whose scaling is folded into its first kernel.

    Pixels / 255 * kernel equals pixels * (kernel / 255), and zero padding stays zero, so the copy
    computes the same logits with one operation less on every device.

    Args:
        model: float32 functional model, raw pixels to logits.

    Returns:
        A float32 functional model of raw pixels to the same logits, with the same layer names;
        a scaling layer becomes an Identity.

    Raises:
        ValueError: the scaling is not a scalar factor, or no single kernel follows it.
    """
    scales, first = _scales_and_first_kernel(model)
    if first is None and _has_scaling(model):
        raise ValueError(f"{model.name}: the scaling cannot be folded into a single kernel")

    def without_scale(layer: keras.Layer) -> keras.Layer:
        if layer in scales:
            return layers.Identity(name=layer.name)
        # The zoo's subclass of BatchNormalization is for training only, so Keras' own class
        # replaces it.
        norm = isinstance(layer, layers.BatchNormalization)
        kind = layers.BatchNormalization if norm else type(layer)
        return kind.from_config(layer.get_config())

    folded = keras.models.clone_model(model, clone_function=without_scale)
    folded.set_weights(model.get_weights())
    if first is not None:
        kernel = folded.get_layer(first.name).kernel
        kernel.assign(kernel * math.prod(layer.scale for layer in scales))
    return folded


def features_model(model: keras.Model) -> keras.Model:
    """Return a model whose output is the input of the network's last layer with weights."""
    last = next(layer for layer in reversed(model.layers) if layer.weights)
    first, *_ = keras.tree.flatten(last.input)
    return keras.Model(model.input, first)


def scales_pixels(model: keras.Model) -> bool:
    """Return whether a network changes its pixels' scale before its first layer with weights."""
    waiting = [model.input]
    while waiting:
        tensor = waiting.pop()
        for operation in _readers(model, tensor):
            if type(operation).__name__ in _REARRANGING:
                waiting.append(operation.output)
            elif not (isinstance(operation, keras.Layer) and operation.weights):
                return True
    return False


def _readers(model: keras.Model, tensor: Any) -> list[keras.Operation]:
    """Return the operations that read a tensor of a model."""
    return [
        each
        for each in model.operations
        if not isinstance(each, layers.InputLayer)
        and any(read is tensor for read in keras.tree.flatten(each.input))
    ]


def _scales_and_first_kernel(
    model: keras.Model,
) -> tuple[list[keras.Layer], keras.Layer | None]:
    """Return the scaling layers before the first kernel, and the layer with this kernel.

    The layer is None if the path from the pixels branches or if another layer precedes the kernel.
    """
    scales: list[keras.Layer] = []
    passing = (layers.Dropout, layers.Flatten, layers.Reshape, layers.ZeroPadding2D)
    tensor = model.input
    while True:
        readers = _readers(model, tensor)
        if len(readers) != 1:
            return scales, None
        (layer,) = readers
        if hasattr(layer, "kernel"):
            return scales, layer
        if _is_plain_factor(layer):
            scales.append(layer)
        elif not isinstance(layer, passing):
            return scales, None
        tensor = layer.output


def _has_scaling(model: keras.Model) -> bool:
    return any(isinstance(layer, layers.Rescaling) for layer in model.layers)


def _is_plain_factor(layer: keras.Layer) -> bool:
    return (
        isinstance(layer, layers.Rescaling)
        and np.ndim(layer.scale) == 0
        and not np.any(layer.offset)
    )
