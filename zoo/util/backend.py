"""Start TensorFlow as the backend of Keras."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from zoo.util import stderr

# Keras imports these packages, if they are installed, for functions that no command calls. Together
# they take about as long as Keras itself.
_UNUSED = ("matplotlib", "pandas", "sklearn")


def start_tensorflow() -> None:
    """Import TensorFlow as the backend of Keras in the process of a command.

    Its startup messages are suppressed. Keras is imported without the packages that only
    ``keras.visualization``, ``keras.wrappers`` and data frames need. float32 is computed as such on
    every device.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with stderr.captured(), _hidden(_UNUSED):
        tf = importlib.import_module("tensorflow")
    # A GPU would round the factors of float32 products to 10 bits.
    tf.config.experimental.enable_tensor_float_32_execution(False)


@contextmanager
def _hidden(packages: tuple[str, ...]) -> Iterator[None]:
    """Let the imports of packages fail within the block, as if they were not installed."""
    hidden = [name for name in packages if name not in sys.modules]
    # With None in place of a module, Python raises ModuleNotFoundError.
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)
