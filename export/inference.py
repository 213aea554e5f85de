"""The network as it is deployed: float32, nothing of training left, scaling folded away."""

from __future__ import annotations

from etils import epy

with epy.lazy_imports():
    import keras
    from keras import layers


def inference_model(model: keras.Model) -> keras.Model:
    """Return a copy that needs no scaling layer: its factor is in the first kernel.

    Pixels times 1/255 times a kernel is pixels times (kernel / 255), and zero padding stays zero,
    so the copy computes the same logits with one operation less on every device.

    Args:
        model: float32 functional model of the zoo, raw pixels to logits.

    Returns:
        A float32 functional model with the same input, the same logits and the same layer names
        (the scaling layer's excepted).

    Raises:
        ValueError: the scaling is not a plain factor or does not lead straight to one kernel.
    """
    scales = [layer for layer in model.layers if isinstance(layer, layers.Rescaling)]
    if len(scales) != 1 or scales[0].offset != 0:
        raise ValueError(f"{model.name} has no single scaling layer without offset to fold")
    first = _first_with_kernel(model, scales[0])

    def without_scale(layer: keras.Layer) -> keras.Layer:
        if layer is scales[0]:
            return layers.Identity(name="pixels")
        return type(layer).from_config(layer.get_config())

    folded = keras.models.clone_model(model, clone_function=without_scale)
    folded.set_weights(model.get_weights())
    kernel = folded.get_layer(first.name).kernel
    kernel.assign(kernel * scales[0].scale)
    return folded


def _first_with_kernel(model: keras.Model, layer: keras.Layer) -> keras.Layer:
    """Follow the one path from ``layer`` to the kernel that can take its factor."""
    while not hasattr(layer, "kernel"):
        followers = [each for each in model.layers if each.input is layer.output]
        passing = (layers.Dropout, layers.Flatten, layers.ZeroPadding2D)
        if len(followers) != 1 or not (
            hasattr(followers[0], "kernel") or isinstance(followers[0], passing)
        ):
            raise ValueError(f"{model.name}: the scaling does not lead straight to one kernel")
        layer = followers[0]
    return layer
