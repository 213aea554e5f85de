"""Quantization-aware fine-tuning: a little more training, in which the network feels the rounding.

Kernels are rounded to int8 in the forward pass, each channel with a scale of its own as the
converter rounds them, while their gradients go to the unrounded ones (the straight-through
estimator of Bengio, Leonard and Courville, 2013); activations are rounded to the 256 steps of the
range that they have over the calibration images, as in Jacob et al., 2018.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from etils import epy

from zoo.data.batches import training_batches
from zoo.data.splits import Split

with epy.lazy_imports():
    import keras
    import tensorflow as tf
    from keras import layers

STEPS = 400
BATCH_SIZE = 100
LEARNING_RATE = 2e-4
_LARGEST_WEIGHT = 127  # int8 weights are symmetric


def finetuned(
    model: keras.Model, train: Split, calibration: np.ndarray, *, steps: int = STEPS
) -> keras.Model:
    """Return a copy of the network whose weights bear being rounded to int8.

    Args:
        model: float32, raw pixels to logits, its scaling not folded: its kernels are then all of
            the size that one learning rate suits.
        train: what to train on.
        calibration: uint8 [N, H, W, C], images for the activations' ranges.
        steps: batches to train on.
    """
    rounded = _with_rounded_activations(model, calibration)
    kernels = [
        (layer.kernel, _kept_axes(layer)) for layer in rounded.layers if hasattr(layer, "kernel")
    ]
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)
    optimizer = keras.optimizers.Adam(schedule)
    optimizer.build(rounded.trainable_variables)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function(autograph=False)
    def step(images: Any, labels: Any) -> None:
        unrounded = [tf.identity(kernel.value) for kernel, _ in kernels]
        for (kernel, kept), values in zip(kernels, unrounded, strict=True):
            kernel.assign(_rounded_weights(values, kept))
        with tf.GradientTape() as tape:
            # As at inference: the statistics of a normalisation stay as they are.
            cost = loss(labels, rounded(images, training=False))
        gradients = tape.gradient(cost, rounded.trainable_variables)
        for (kernel, _), values in zip(kernels, unrounded, strict=True):
            kernel.assign(values)
        optimizer.apply(gradients, rounded.trainable_variables)

    stream = training_batches(train, batch_size=BATCH_SIZE, steps=steps, seed=0, shuffle=True)
    for images, labels in stream:
        step(images, labels)
    result = keras.models.clone_model(model)
    result.set_weights(rounded.get_weights())
    return result


def _with_rounded_activations(model: keras.Model, calibration: np.ndarray) -> keras.Model:
    """Return a copy with every result that an int8 file keeps rounded to 256 steps."""
    kept = [layer.name for layer in model.layers if _is_kept(model, layer)]
    results = keras.Model(model.input, [model.get_layer(name).output for name in kept])
    values = results.predict(calibration.astype(np.float32), verbose=0)
    # The range of every result takes in zero, which int8 has to hold exactly.
    ranges = {
        name: (min(0.0, float(np.min(each))), max(1e-6, float(np.max(each))))
        for name, each in zip(kept, values if len(kept) > 1 else [values], strict=True)
    }

    def call(layer: keras.Layer, *arguments: Any, **options: Any) -> Any:
        result = layer(*arguments, **options)
        if layer.name not in ranges:
            return result
        low, high = ranges[layer.name]
        return layers.Lambda(
            tf.quantization.fake_quant_with_min_max_args,
            arguments={"min": low, "max": high},
            name=f"{layer.name}_rounded",
        )(result)

    copy = keras.models.clone_model(model, call_function=call)
    copy.set_weights(model.get_weights())
    return copy


def _is_kept(model: keras.Model, layer: keras.Layer) -> bool:
    """Return whether a layer's result stands in an int8 file, and is not fused with the next."""
    passing = layers.InputLayer | layers.Rescaling | layers.Dropout | layers.Flatten
    if isinstance(layer, passing):
        return False
    followers = [each for each in model.layers if each.input is layer.output]
    fused = layers.BatchNormalization | layers.ReLU | layers.Activation
    return not (len(followers) == 1 and isinstance(followers[0], fused))


def _kept_axes(layer: keras.Layer) -> list[int]:
    """Return the axes of a kernel along which the converter has one scale: not its channels."""
    rank = len(layer.kernel.shape)
    depthwise = isinstance(layer, layers.DepthwiseConv2D)
    return list(range(rank - 2)) if depthwise else list(range(rank - 1))


def _rounded_weights(values: Any, axes: list[int]) -> Any:
    scale = tf.reduce_max(tf.abs(values), axis=axes, keepdims=True) / _LARGEST_WEIGHT
    scale = tf.maximum(scale, 1e-12)
    return tf.round(values / scale) * scale
