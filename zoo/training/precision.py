"""Which number format is fastest for a network on this machine: measured, not guessed."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from etils import epy

from zoo.models.cost import multiply_adds
from zoo.models.registry import PRECISIONS

with epy.lazy_imports():
    import keras
    import tensorflow as tf

_ROUNDS = 3
_MOST_IMAGES = 100
_MULTIPLY_ADDS = 1_000_000_000  # of each round's forward pass: milliseconds, not seconds

# A tie goes to float32.
_LEAST_GAIN = 1.1


def fastest(build: Callable[[str], keras.Model]) -> str:
    """Return the number format in which a network trains fastest here.

    Its logits and gradients are computed for a few images in each format in turn, and the shortest
    times compared; takes about half a second.

    Args:
        build: returns the network in the precision given.

    Returns:
        ``float32`` or ``bfloat16``.
    """
    probes = {name: _probe(build(name)) for name in PRECISIONS}
    seconds = {name: float("inf") for name in PRECISIONS}
    for _ in range(_ROUNDS):
        for name, probe in probes.items():
            begin = time.perf_counter()
            probe()
            seconds[name] = min(seconds[name], time.perf_counter() - begin)
    return "bfloat16" if seconds["float32"] >= _LEAST_GAIN * seconds["bfloat16"] else "float32"


def _probe(model: keras.Model) -> Callable[[], None]:
    """Return a function that computes gradients once, and is compiled."""
    count = min(_MOST_IMAGES, 1 + _MULTIPLY_ADDS // max(1, multiply_adds(model)))
    images = tf.zeros([count, *model.input_shape[1:]], tf.uint8)

    @tf.function(autograph=False)
    def gradients() -> list:
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
        return tape.gradient(logits, model.trainable_variables)

    # Of the function itself TensorFlow may warn that it is traced every few calls.
    compiled = gradients.get_concrete_function()

    def probe() -> None:
        np.asarray(compiled()[0])

    probe()
    return probe
