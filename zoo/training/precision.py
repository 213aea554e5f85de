"""Measure which precision trains a network fastest on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from etils import epy

from zoo.models.cost import multiply_adds
from zoo.models.registry import PRECISIONS
from zoo.training.parallelism import on_gpu
from zoo.util.environment import has_bfloat16

with epy.lazy_imports():
    import keras
    import tensorflow as tf

_ROUNDS = 3
_MOST_IMAGES = 100
_MULTIPLY_ADDS = 1_000_000_000  # about the most per forward pass, which then takes milliseconds

# How many times faster bfloat16 must be to be chosen.
_LEAST_GAIN = 1.1


def fastest(build: Callable[[str], keras.Model]) -> str:
    """Return the precision in which a network trains fastest on this machine.

    The logits and gradients of a few images are computed in each precision in turn, and the
    shortest times are compared. This takes a few seconds, and is left out on a processor without
    instructions for bfloat16.

    Args:
        build: returns the network in a given precision.

    Returns:
        ``bfloat16`` if it is at least 1.1 times as fast, otherwise ``float32``.
    """
    if not (has_bfloat16() or on_gpu()):
        return "float32"
    probes = {name: _probe(build(name)) for name in PRECISIONS}
    seconds = {name: float("inf") for name in PRECISIONS}
    for _ in range(_ROUNDS):
        for name, probe in probes.items():
            begin = time.perf_counter()
            probe()
            seconds[name] = min(seconds[name], time.perf_counter() - begin)
    return "bfloat16" if seconds["float32"] >= _LEAST_GAIN * seconds["bfloat16"] else "float32"


def _probe(model: keras.Model) -> Callable[[], None]:
    """Return a compiled function that computes gradients once."""
    count = min(_MOST_IMAGES, 1 + _MULTIPLY_ADDS // max(1, multiply_adds(model)))
    images = tf.zeros([count, *model.input_shape[1:]], tf.uint8)

    @tf.function(autograph=False)
    def gradients() -> list:
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
        return tape.gradient(logits, model.trainable_variables)

    # Calling the tf.function itself may trigger TensorFlow's warning about frequent retracing.
    compiled = gradients.get_concrete_function()

    def probe() -> None:
        np.asarray(compiled()[0])

    probe()
    return probe
