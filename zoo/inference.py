"""Convert a picture file to an input image, and a Keras network to a ``predict_fn``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from etils import epy

from zoo.data.preprocessing import prepare, read_picture
from zoo.errors import InputError
from zoo.metrics import PredictFn
from zoo.models import shards

with epy.lazy_imports():
    import keras
    import tensorflow as tf


def preprocess(path: str | Path, model: keras.Model) -> np.ndarray:
    """Return a picture file as the input of a network.

    If the network searches pictures for ink, a picture without exactly one character is fitted as a
    whole; ``zoo.predict`` reports it instead.

    Args:
        path: a picture file, such as PNG or JPEG.
        model: a network from ``load_model``, which defines how the picture is prepared.

    Returns:
        uint8 ``[1, height, width, channels]``.

    Raises:
        InputError: the picture cannot be read, or the model records no preprocessing.

    >>> model = zoo.load_model("runs/ltfn5")
    >>> zoo.preprocess("digit.png", model).shape
    (1, 28, 28, 1)
    """
    wanted = getattr(model, "preprocessing", None)
    if wanted is None:
        raise InputError(
            f"the model {model.name!r} does not record how pictures are prepared; load it with "
            "zoo.load_model"
        )
    return prepare(read_picture(Path(path)), wanted).image[None]


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
