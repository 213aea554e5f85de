"""Training batches whose order and augmentation depend only on the seed and the step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from etils import epy

from zoo.data import paging
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
    """Yield the training batches of steps ``start`` to ``steps - 1``.

    Each batch depends only on the seed and the step. The split is repeated, in stored order or
    shuffled differently in each epoch. A batch may span two epochs, so every batch is full.

    Args:
        split: images for training.
        batch_size: images in each batch.
        steps: number of the step after the last one.
        seed: seed of the shuffling and the augmentation.
        shuffle: whether to shuffle each epoch.
        start: number of the first step, to resume training.
        augment: function of ``(images, seed)``, where ``seed`` is an int64 tensor of shape [2];
            it is compiled.

    Yields:
        Tensors ``(images uint8 [B, H, W, C], labels int64 [B])``.
    """
    # Cache the order of the current epoch only.
    order_of = functools.lru_cache(maxsize=1)(functools.partial(_order, len(split), seed, shuffle))
    augmented = augment and tf.function(augment, autograph=False)

    def batch(step: int) -> tuple[Any, Any]:
        at = _positions(len(split), step * batch_size, batch_size, order_of)
        images, labels = tf.convert_to_tensor(paging.take(split.images, at)), split.labels[at]
        if augmented:
            images = augmented(images, tf.constant([seed, step], tf.int64))
        return images, tf.convert_to_tensor(labels, tf.int64)

    # A thread prepares the next batch during the current step. A generator in tf.data is slower,
    # and a process that exits before its last batch may wait for the generator forever.
    with ThreadPoolExecutor(1) as beside:
        following = beside.submit(batch, start)
        for step in range(start, steps):
            ready = following.result()
            if step + 1 < steps:
                following = beside.submit(batch, step + 1)
            yield ready


def _order(count: int, seed: int, shuffle: bool, epoch: int) -> np.ndarray | None:
    """Return the shuffled order of one epoch, or None for the stored order."""
    return np.random.default_rng((seed, epoch)).permutation(count) if shuffle else None


def _positions(
    count: int, first: int, number: int, order_of: Callable[[int], np.ndarray | None]
) -> np.ndarray:
    """Return the positions in the split of the ``number`` images that start at image ``first``.

    Images are counted over all epochs.
    """
    parts = []
    while number > 0:
        epoch, offset = divmod(first, count)
        order = order_of(epoch)
        part = np.arange(offset, min(offset + number, count))
        parts.append(part if order is None else order[part])
        first, number = first + len(part), number - len(part)
    return np.concatenate(parts)
