"""Write the warm-up requests that TensorFlow Serving replays when it loads a version."""

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
    """Return whether the package tensorflow-serving-api is installed."""
    return importlib.util.find_spec("tensorflow_serving") is not None


def notes() -> list[str]:
    """Return a message for the user if the requests cannot be written."""
    if is_available():
        return []
    return [
        "The warm-up requests of TensorFlow Serving are left out because tensorflow-serving-api is "
        "not installed; to include them, run pip install 'ltfn-zoo[serving]'"
    ]


def write(folder: Path, model: str, image_shape: tuple[int, int, int]) -> None:
    """Write one request for each signature of the SavedModel in ``folder``.

    Args:
        folder: folder of the SavedModel.
        model: name under which the model is served.
        image_shape: height, width and channels of the images.
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
