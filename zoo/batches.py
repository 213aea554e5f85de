"""The training batches: their order and augmentation are functions of seed and step alone."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from etils import epy

from zoo.splits import Split

with epy.lazy_imports():
    import tensorflow as tf


def batches(
    split: Split,
    *,
    batch_size: int,
    steps: int,
    seed: int,
    shuffle: bool,
    start: int = 0,
    augment: Callable[[Any, Any], Any] | None = None,
) -> tf.data.Dataset:
    """Return the training batches ``start`` to ``steps``, each a function of seed and step alone.

    The split is read over and over, in stored order or in an order of its own for each epoch; a
    batch may hold the end of one epoch and the beginning of the next, so none is ever short.

    Args:
        split: the images to learn from.
        batch_size: images in each batch.
        steps: number of the step after the last.
        seed: what the epochs' orders and the augmentation depend on.
        shuffle: whether each epoch has an order of its own.
        start: number of the first step, for a resumed training.
        augment: function of ``(images, seed)`` applied in the input pipeline, where ``seed`` is
            an int tensor of shape [2].

    Returns:
        A ``tf.data.Dataset`` of ``(images uint8 [B, H, W, C], labels int64 [B])``.
    """
    # The order of one epoch, kept until the next one's is asked for.
    order_of = functools.lru_cache(maxsize=1)(functools.partial(_order, len(split), seed, shuffle))

    def chosen() -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        for step in range(start, steps):
            at = _positions(len(split), step * batch_size, batch_size, order_of)
            yield step, split.images[at], split.labels[at]

    def augmented(step: Any, images: Any, labels: Any) -> tuple[Any, Any]:
        if augment is not None:
            images = augment(images, tf.stack([tf.constant(seed, tf.int64), step]))
        return images, labels

    signature = (
        tf.TensorSpec([], tf.int64),
        tf.TensorSpec([batch_size, *split.images.shape[1:]], tf.uint8),
        tf.TensorSpec([batch_size], tf.int64),
    )
    return (
        tf.data.Dataset.from_generator(chosen, output_signature=signature)
        .map(augmented, num_parallel_calls=2, deterministic=True)
        .prefetch(4)
    )


def _order(count: int, seed: int, shuffle: bool, epoch: int) -> np.ndarray | None:
    """Return the order of one epoch, None for the stored one."""
    return np.random.default_rng((seed, epoch)).permutation(count) if shuffle else None


def _positions(
    count: int, first: int, number: int, order_of: Callable[[int], np.ndarray | None]
) -> np.ndarray:
    """Return positions ``first .. first + number`` of the endless sequence of epochs."""
    parts = []
    while number > 0:
        epoch, offset = divmod(first, count)
        order = order_of(epoch)
        part = np.arange(offset, min(offset + number, count))
        parts.append(part if order is None else order[part])
        first, number = first + len(part), number - len(part)
    return np.concatenate(parts)
