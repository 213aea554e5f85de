"""The training batches: their order and augmentation are functions of seed and step alone."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from etils import epy

from zoo.data.splits import Split

with epy.lazy_imports():
    import tensorflow as tf


def training_batches(
    split: Split,
    *,
    batch_size: int,
    steps: int,
    seed: int,
    shuffle: bool,
    start: int = 0,
    augment: Callable[[Any, Any], Any] | None = None,
) -> Iterator[tuple[Any, Any]]:
    """Yield the training batches ``start`` to ``steps``, each a function of seed and step alone.

    The split is read over and over, in stored order or in an order of its own for each epoch; a
    batch may hold the end of one epoch and the beginning of the next, so none is ever short.

    Args:
        split: the images to learn from.
        batch_size: images in each batch.
        steps: number of the step after the last.
        seed: what the epochs' orders and the augmentation depend on.
        shuffle: whether each epoch has an order of its own.
        start: number of the first step, for a resumed training.
        augment: function of ``(images, seed)``, compiled, where ``seed`` is an int64 tensor of
            shape [2].

    Yields:
        Tensors ``(images uint8 [B, H, W, C], labels int64 [B])``.
    """
    # The order of one epoch, kept until the next one's is asked for.
    order_of = functools.lru_cache(maxsize=1)(functools.partial(_order, len(split), seed, shuffle))
    augmented = augment and tf.function(augment, autograph=False)

    def batch(step: int) -> tuple[Any, Any]:
        at = _positions(len(split), step * batch_size, batch_size, order_of)
        images, labels = tf.convert_to_tensor(split.images[at]), split.labels[at]
        if augmented:
            images = augmented(images, tf.constant([seed, step], tf.int64))
        return images, tf.convert_to_tensor(labels, tf.int64)

    # One ahead, while the step before it is computed. A generator within tf.data costs more than
    # this thread, and a process that ends before its last batch may wait for it forever.
    with ThreadPoolExecutor(1) as beside:
        following = beside.submit(batch, start)
        for step in range(start, steps):
            ready = following.result()
            if step + 1 < steps:
                following = beside.submit(batch, step + 1)
            yield ready


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
