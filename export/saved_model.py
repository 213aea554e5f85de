"""SavedModels: the one that TensorFlow Serving loads, and the one that converters read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from etils import epy

with epy.lazy_imports():
    import keras
    import tensorflow as tf


def save_serving(model: keras.Model, folder: Path) -> None:
    """Write the SavedModel of a server.

    ``serving_default`` takes ``image``, uint8 [None, H, W, C], and gives ``logits`` and
    ``probabilities``, float32 [None, classes], and ``class_id``, int64 [None].

    Args:
        model: inference model, raw pixels to logits.
        folder: where ``saved_model.pb`` and ``variables/`` go.
    """
    shape = [None, *model.input_shape[1:]]

    def serving_default(image: Any) -> dict[str, Any]:
        # First of all: a tensor of another rank would end the whole process in oneDNN.
        image = tf.ensure_shape(image, shape)
        logits = model(image, training=False)
        return {
            "logits": logits,
            "probabilities": tf.nn.softmax(logits),
            "class_id": tf.argmax(logits, axis=1),
        }

    _write(model, serving_default, tf.TensorSpec(shape, tf.uint8, "image"), folder)


def save_fixed(model: keras.Model, folder: Path) -> None:
    """Write the SavedModel that a device converter reads: one float32 image in, logits out.

    The batch of one is fixed: a dynamic one would leave shape arithmetic in the converted file.
    """

    def serving_default(image: Any) -> dict[str, Any]:
        return {"logits": model(image, training=False)}

    spec = tf.TensorSpec([1, *model.input_shape[1:]], tf.float32, "image")
    _write(model, serving_default, spec, folder)


def _write(model: keras.Model, function: Any, spec: Any, folder: Path) -> None:
    endpoint = tf.function(function, input_signature=[spec], autograph=False)
    # Keras' own ExportArchive stores every variable twice, so a plain module holds them.
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    signatures = {"serving_default": endpoint.get_concrete_function()}
    tf.saved_model.save(module, str(folder), signatures=signatures)
