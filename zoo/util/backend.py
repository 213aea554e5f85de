"""Start TensorFlow as the backend of Keras."""

from __future__ import annotations

import importlib
import logging
import os

from zoo.util import stderr


def start_tensorflow() -> None:
    """Import TensorFlow as the backend of Keras, and suppress its startup messages."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with stderr.captured():
        importlib.import_module("tensorflow")
