"""The Keras runtime: a network as a ``predict_fn``, the interface of every exported file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from etils import epy

from zoo.metrics import PredictFn
from zoo.models import shards

with epy.lazy_imports():
    import keras
    import tensorflow as tf


def predict_fn(model: keras.Model, parts: int = 1) -> PredictFn:
    """Return a function from uint8 images [N, H, W, C] to float32 logits [N, classes].

    Args:
        model: network from raw pixels to logits.
        parts: number of shards that each batch is split into.
    """
    signature = [tf.TensorSpec([None, *model.input_shape[1:]], tf.uint8)]

    def compiled(parts: int) -> Callable:
        @tf.function(autograph=False, input_signature=signature)
        def forward(images: Any) -> Any:
            found = [model(shard, training=False) for shard in shards.split(images, parts)]
            return tf.concat(found, axis=0)

        return forward

    parted, whole = compiled(parts), compiled(1)
    # A shard must not be empty.
    return lambda images: (parted if len(images) >= parts else whole)(tf.constant(images)).numpy()
