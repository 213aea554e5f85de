"""A batch in shards: side by side, one thread each, they train faster than operation by operation.

An operation split between threads waits for its slowest part, and a weight gradient adds up the
parts of all; a shard does neither, and what its layers hand on stays in the caches. On two cores
two shards for each were best: ``python -m tools.bench shards`` measures what they gain.

A process has one number of threads for all operations, which must be set before TensorFlow begins.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

from etils import epy

from zoo.models import registry
from zoo.util.environment import cores

with epy.lazy_imports():
    import keras
    import tensorflow as tf

_EACH_CORE = 2

# What is done once a shard, not once an image, would cost more than is won.
_LEAST_IMAGES = 12


def prepare(models: Iterable[str], batch_size: int) -> None:
    """Give each operation one thread where all of some networks train faster in shards.

    Args:
        models: names of the networks that this process is to train.
        batch_size: images in each step.
    """
    whole = any(registry.get_spec(name).batch_statistics for name in models)
    small = batch_size < _LEAST_IMAGES * _most()
    if not whole and not small and not tf.config.list_physical_devices("GPU"):
        # A user's module may have computed something already: the batch then stays whole.
        with contextlib.suppress(RuntimeError):
            tf.config.threading.set_intra_op_parallelism_threads(1)


def count(model: keras.Model, batch_size: int) -> int:
    """Return in how many shards a batch is computed: one, unless each operation has one thread.

    A network that normalises by the statistics of its batch needs the whole of it.
    """
    whole = any(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers)
    if whole or tf.config.threading.get_intra_op_parallelism_threads() != 1:
        return 1
    return min(_most(), batch_size)


def split(batch: Any, shards: int) -> list[Any]:
    """Return a tensor [N, ...] in parts along its first axis, as equal as can be."""
    size = batch.shape[0] or tf.shape(batch)[0]
    return [batch[size * at // shards : size * (at + 1) // shards] for at in range(shards)]


def _most() -> int:
    return _EACH_CORE * cores()
