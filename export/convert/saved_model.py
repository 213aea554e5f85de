"""Write the SavedModels: one for TensorFlow Serving, and one for the converters."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from etils import epy

from export.convert import graph_preprocessing
from export.litert.metadata import LABELS
from export.network.deploy import features_model
from zoo.data.preprocessing import Preprocessing

with epy.lazy_imports():
    import keras
    import tensorflow as tf


def save_serving(
    model: keras.Model, labels: Sequence[str], wanted: Preprocessing, folder: Path
) -> None:
    """Write the SavedModel for TensorFlow Serving, with the labels as its asset.

    ========================= =============================== =====================================
    signature                 input                           outputs
    ========================= =============================== =====================================
    ``serving_default``       ``image`` uint8 [N, H, W, C]    ``logits``, ``probabilities`` float32
                                                              [N, classes]; ``class_id`` int64 [N];
                                                              ``label`` string [N]
    ``serve_bytes``           ``image_bytes`` string [N],     the same
                              PNG or JPEG files
    ``features``              ``image`` uint8 [N, H, W, C]    ``features`` float32, the input of
                                                              the last layer with weights
    ========================= =============================== =====================================

    N is at least 1. ``serve_bytes`` is left out if the decoders do not support the channels.

    Args:
        model: inference model, raw pixels to logits.
        labels: class names.
        wanted: preprocessing of picture files in ``serve_bytes``.
        folder: destination of ``saved_model.pb``, ``variables/`` and ``assets/``.
    """
    height, width, channels = model.input_shape[1:]
    names = tf.constant(list(labels))

    def classify(image: Any) -> dict[str, Any]:
        logits = model(image, training=False)
        class_id = tf.argmax(logits, axis=1)
        return {
            "logits": logits,
            "probabilities": tf.nn.softmax(logits),
            "class_id": class_id,
            "label": tf.gather(names, class_id),
        }

    def serving_default(image: Any) -> dict[str, Any]:
        return classify(_checked(image, [None, height, width, channels]))

    def serve_bytes(image_bytes: Any) -> dict[str, Any]:
        files = _checked(image_bytes, [None])
        return classify(graph_preprocessing.decode(files, wanted))

    def features(image: Any) -> dict[str, Any]:
        pixels = _checked(image, [None, height, width, channels])
        return {"features": features_model(model)(pixels, training=False)}

    image = tf.TensorSpec([None, height, width, channels], tf.uint8, "image")
    image_bytes = tf.TensorSpec([None], tf.string, "image_bytes")
    endpoints: dict[str, tuple[Callable[..., Any], Any]] = {
        "serving_default": (serving_default, image),
        "features": (features, image),
    }
    if channels in graph_preprocessing.CHANNELS:
        endpoints["serve_bytes"] = (serve_bytes, image_bytes)
    with tempfile.TemporaryDirectory() as scratch:
        asset = Path(scratch) / LABELS
        asset.write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
        _write(model, endpoints, folder, labels=tf.saved_model.Asset(str(asset)))


def notes(model: keras.Model) -> list[str]:
    """Return a message for the user if a signature is left out."""
    channels = model.input_shape[-1]
    if channels in graph_preprocessing.CHANNELS:
        return []
    return [f"The signature serve_bytes is left out: it supports 1 or 3 channels, not {channels}."]


def save_fixed(model: keras.Model, folder: Path, batch: int = 1) -> None:
    """Write the SavedModel for the converters: float32 images in, logits out.

    The batch size is fixed; a dynamic one would add shape operations to the converted file. A model
    with a dictionary of outputs keeps their names.
    """

    def serving_default(image: Any) -> dict[str, Any]:
        outputs = model(image, training=False)
        return outputs if isinstance(outputs, dict) else {"logits": outputs}

    spec = tf.TensorSpec([batch, *model.input_shape[1:]], tf.float32, "image")
    _write(model, {"serving_default": (serving_default, spec)}, folder)


def _checked(tensor: Any, shape: Sequence[int | None]) -> Any:
    # This check comes first, since a tensor of another rank would crash the process in oneDNN.
    tensor = tf.ensure_shape(tensor, shape)
    some = tf.debugging.assert_positive(tf.shape(tensor)[0], "the batch is empty")
    with tf.control_dependencies([some]):
        return tf.identity(tensor)


def _write(
    model: keras.Model,
    endpoints: dict[str, tuple[Callable[..., Any], Any]],
    folder: Path,
    **tracked: Any,
) -> None:
    # Keras' ExportArchive stores every variable twice, so a plain module is used.
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    for name, value in tracked.items():
        setattr(module, name, value)
    signatures = {
        name: tf.function(function, input_signature=[spec], autograph=False).get_concrete_function()
        for name, (function, spec) in endpoints.items()
    }
    tf.saved_model.save(module, str(folder), signatures=signatures)
