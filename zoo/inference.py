"""The Keras runtime: a network behind ``predict_fn``, as every exported file is."""

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
    """Return the Keras runtime: uint8 images [N, H, W, C] -> float32 logits [N, classes].

    Args:
        model: raw pixels to logits.
        parts: in how many shards the images are computed.
    """
    signature = [tf.TensorSpec([None, *model.input_shape[1:]], tf.uint8)]

    def compiled(parts: int) -> Callable:
        @tf.function(autograph=False, input_signature=signature)
        def forward(images: Any) -> Any:
            found = [model(shard, training=False) for shard in shards.split(images, parts)]
            return tf.concat(found, axis=0)

        return forward

    parted, whole = compiled(parts), compiled(1)
    # No shard may be empty.
    return lambda images: (parted if len(images) >= parts else whole)(tf.constant(images)).numpy()
