"""Split a batch into shards, which TensorFlow computes in parallel."""

from __future__ import annotations

from typing import Any

from etils import epy

with epy.lazy_imports():
    import tensorflow as tf


def split(batch: Any, shards: int) -> list[Any]:
    """Split a tensor [N, ...] along its first axis into parts of nearly equal size."""
    size = batch.shape[0] or tf.shape(batch)[0]
    return [batch[size * at // shards : size * (at + 1) // shards] for at in range(shards)]
