"""Requests that TensorFlow Serving replays when it loads a version, before any user waits."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from etils import epy

with epy.lazy_imports():
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

FILE = "assets.extra/tf_serving_warmup_requests"


def is_available() -> bool:
    """Return whether the package of TensorFlow Serving's messages is installed."""
    return importlib.util.find_spec("tensorflow_serving") is not None


def notes() -> list[str]:
    """Return what a user should know of the requests before the export begins."""
    if is_available():
        return []
    return [
        "The warm-up requests of TensorFlow Serving are left out, since tensorflow-serving-api is "
        "not installed; pip install 'ltfn-zoo[serving]'"
    ]


def write(folder: Path, model: str, image_shape: tuple[int, int, int]) -> None:
    """Write one request for each signature of the SavedModel in ``folder``.

    Args:
        folder: of the SavedModel.
        model: the name under which it is served.
        image_shape: height, width and channels of its images.
    """
    blank = tf.zeros(image_shape, tf.uint8)
    requests = {
        "serving_default": {"image": blank[None]},
        "features": {"image": blank[None]},
    }
    signatures = tf.saved_model.load(str(folder)).signatures
    if "serve_bytes" in signatures:
        requests["serve_bytes"] = {"image_bytes": tf.io.encode_png(blank)[None]}
    file = folder / FILE
    file.parent.mkdir()
    with tf.io.TFRecordWriter(str(file)) as writer:
        for signature, inputs in requests.items():
            writer.write(_record(model, signature, inputs).SerializeToString())


def _record(model: str, signature: str, inputs: dict[str, Any]) -> Any:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for name, tensor in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(tensor))
    return prediction_log_pb2.PredictionLog(
        predict_log=prediction_log_pb2.PredictLog(request=request)
    )
