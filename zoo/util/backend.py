"""The start of TensorFlow, on which Keras runs here."""

from __future__ import annotations

import importlib
import logging
import os

from zoo.util import stderr


def start_tensorflow() -> None:
    """Import TensorFlow on which Keras is to run, without its start-up chatter."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with stderr.held_back():
        importlib.import_module("tensorflow")
