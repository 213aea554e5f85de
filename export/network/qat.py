"""Quantization-aware fine-tuning: a short training that simulates int8 quantization.

The forward pass rounds kernels to int8 with a separate scale for each channel, as the converter
does; gradients are applied to the unrounded kernels (the straight-through estimator of Bengio,
Leonard and Courville, 2013). Activations are rounded to 256 steps of their range over the
calibration images, as in Jacob et al., 2018.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from etils import epy

from zoo.data.batches import training_batches
from zoo.data.splits import Split
from zoo.util.tracking import track

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
    """Return a copy of the network that is fine-tuned for int8 quantization.

    Args:
        model: float32, raw pixels to logits, with unfolded scaling, so that one learning rate suits
            all kernels.
        train: the training split.
        calibration: uint8 [N, H, W, C], images that set the activation ranges.
        steps: number of training batches.
    """
    rounded = _with_rounded_activations(model, calibration)
    kernels = [
        (layer.kernel, _shared_axes(layer)) for layer in rounded.layers if hasattr(layer, "kernel")
    ]
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)
    optimizer = keras.optimizers.Adam(schedule)
    optimizer.build(rounded.trainable_variables)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function(autograph=False)
    def step(images: Any, labels: Any) -> None:
        unrounded = [tf.identity(kernel.value) for kernel, _ in kernels]
        for (kernel, shared), values in zip(kernels, unrounded, strict=True):
            kernel.assign(_rounded_weights(values, shared))
        with tf.GradientTape() as tape:
            # training=False keeps the statistics of normalization layers unchanged.
            cost = loss(labels, rounded(images, training=False))
        gradients = tape.gradient(cost, rounded.trainable_variables)
        for (kernel, _), values in zip(kernels, unrounded, strict=True):
            kernel.assign(values)
        optimizer.apply(gradients, rounded.trainable_variables)

    stream = training_batches(train, batch_size=BATCH_SIZE, steps=steps, seed=0, shuffle=True)
    for images, labels in track(stream, "Fine-tuning for int8", steps):
        step(images, labels)
    result = keras.models.clone_model(model)
    result.set_weights(rounded.get_weights())
    return result


def _with_rounded_activations(model: keras.Model, calibration: np.ndarray) -> keras.Model:
    """Return a copy that rounds every activation that an int8 file stores to 256 steps."""
    stored = [layer.name for layer in model.layers if _is_stored(model, layer)]
    results = keras.Model(model.input, {name: model.get_layer(name).output for name in stored})
    # Every range includes zero, which int8 must represent exactly.
    ranges = dict.fromkeys(stored, (0.0, 1e-6))
    # In batches, because the activations of all images may not fit into memory.
    for at in range(0, len(calibration), BATCH_SIZE):
        images = calibration[at : at + BATCH_SIZE].astype(np.float32)
        for name, values in results.predict_on_batch(images).items():
            low, high = ranges[name]
            ranges[name] = (min(low, float(values.min())), max(high, float(values.max())))

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


def _is_stored(model: keras.Model, layer: keras.Layer) -> bool:
    """Return whether an int8 file stores a layer's output, rather than fuses it with the next."""
    passing = layers.InputLayer | layers.Rescaling | layers.Dropout | layers.Flatten
    if isinstance(layer, passing):
        return False
    followers = [each for each in model.layers if each.input is layer.output]
    fused = layers.BatchNormalization | layers.ReLU | layers.Activation
    return not (len(followers) == 1 and isinstance(followers[0], fused))


def _shared_axes(layer: keras.Layer) -> list[int]:
    """Return the axes of a kernel that share one scale: all but the channel axes."""
    rank = len(layer.kernel.shape)
    depthwise = isinstance(layer, layers.DepthwiseConv2D)
    return list(range(rank - 2)) if depthwise else list(range(rank - 1))


def _rounded_weights(values: Any, axes: list[int]) -> Any:
    scale = tf.reduce_max(tf.abs(values), axis=axes, keepdims=True) / _LARGEST_WEIGHT
    scale = tf.maximum(scale, 1e-12)
    return tf.round(values / scale) * scale
