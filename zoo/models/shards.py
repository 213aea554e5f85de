"""Split a batch into shards that are computed in parallel, each with single-threaded operations.

This trains faster than multithreaded operations on the whole batch: those wait for their slowest
thread, and weight gradients add up the parts of all threads. A shard does neither, and its
activations stay in the CPU cache. On two cores, two shards per core were fastest;
``python -m tools.bench shards`` measures the gain.

The number of threads per operation is global, and must be set before TensorFlow runs its first
operation.
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

_SHARDS_PER_CORE = 2

# Each shard is traced, which takes seconds for dozens of them. A batch that would have more shards
# than this is not split at all.
_MAX_SHARDS = 16

# With fewer images per shard, the overhead per shard exceeds the gain.
_MIN_IMAGES = 12


def prepare(models: Iterable[str], batch_size: int) -> None:
    """Set one thread per operation if all networks of this process train faster in shards.

    Args:
        models: names of the networks that this process will train.
        batch_size: images in each step.
    """
    whole = any(registry.get_spec(name).batch_statistics for name in models)
    few = _count() <= min(_MAX_SHARDS, batch_size // _MIN_IMAGES)
    if few and not whole and not tf.config.list_physical_devices("GPU"):
        # This fails if a user's module has already used TensorFlow; the batch is then not split.
        with contextlib.suppress(RuntimeError):
            tf.config.threading.set_intra_op_parallelism_threads(1)


def count(model: keras.Model, batch_size: int) -> int:
    """Return the number of shards of a batch: 1 unless operations are single-threaded.

    It is also 1 with batch normalization, whose statistics need the whole batch.
    """
    whole = any(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers)
    if whole or tf.config.threading.get_intra_op_parallelism_threads() != 1:
        return 1
    return min(_count(), batch_size)


def split(batch: Any, shards: int) -> list[Any]:
    """Split a tensor [N, ...] along its first axis into parts of nearly equal size."""
    size = batch.shape[0] or tf.shape(batch)[0]
    return [batch[size * at // shards : size * (at + 1) // shards] for at in range(shards)]


def _count() -> int:
    return _SHARDS_PER_CORE * cores()
