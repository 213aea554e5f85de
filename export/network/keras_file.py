"""Open a user-supplied Keras file without running code from it."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from etils import epy

from zoo.errors import InputError, first_line
from zoo.util import declared

with epy.lazy_imports():
    import h5py
    import keras
    import tensorflow as tf

SUFFIXES = (".keras", ".h5", ".hdf5")

# Weights of LoRA are merged with others when saved: a network may have more than its file.
_NOT_STORED = 1 << 20

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class KerasFile:
    """An image classifier loaded from a Keras file.

    Attributes:
        path: path of the file.
        model: the saved model: images [N, H, W, C] or [N, H, W] in, [N, classes] out.
        image_shape: height, width and channels of the images.
    """

    path: Path
    model: keras.Model
    image_shape: tuple[int, int, int]

    @property
    def name(self) -> str:
        """Name under which the exports are published."""
        return self.path.stem

    @property
    def classes(self) -> int:
        """Number of classes; two for a single output."""
        return max(2, self.model.outputs[0].shape[1])

    def outputs(self, images: np.ndarray) -> np.ndarray:
        """Return the outputs of the saved model for scaled images, float [N, H, W, C]."""
        if len(self.model.inputs[0].shape) == 3:
            images = images[..., 0]
        (values,) = keras.tree.flatten(self.model.predict(images, batch_size=100, verbose=0))
        return np.asarray(values, np.float32)


def is_keras_file(path: Path) -> bool:
    """Return whether a path has the extension of a Keras file."""
    return path.suffix.lower() in SUFFIXES


def check_file(path: Path) -> None:
    """Check a Keras file's path, without loading TensorFlow.

    Raises:
        InputError: there is no such file, or its name cannot be published.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    if not _NAME.fullmatch(path.stem):
        raise InputError(
            f"{path}: rename this file; its name without the extension names the exports, and must "
            "start with an ASCII letter or digit and contain only ASCII letters, digits, '_', '.' "
            "and '-'"
        )


def open_keras_file(path: Path, image_size: tuple[int, int] | None = None) -> KerasFile:
    """Return the classifier stored in a file.

    Args:
        path: a ``.keras`` file, or an ``.h5`` file of a whole model.
        image_size: height and width of the images, for a network that accepts any size.

    Raises:
        InputError: the file cannot be read, its name cannot be published, or the model is not an
            image classifier.
    """
    check_file(path)
    try:
        _check_declared(path)
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # a user-supplied file can raise any error
        raise InputError(
            f"{path} cannot be opened: {first_line(error)}{_advice(path, error)}"
        ) from error
    return KerasFile(path, model, _image_shape(path, model, image_size))


def _check_declared(path: Path) -> None:
    """Check, before it takes memory, that the file holds as much as it declares.

    Raises:
        ValueError: its members, arrays or layers are too large.
    """
    if path.suffix == ".keras":
        declared.check_zip(path)
        with zipfile.ZipFile(path) as archive:
            config = archive.read("config.json")
            member = archive.getinfo("model.weights.h5")
            with archive.open(member) as file:
                values = declared.check_h5(file, member.file_size)
    else:
        values = declared.check_h5(path, path.stat().st_size)
        with h5py.File(path, "r") as content:
            config = content.attrs.get("model_config", b"")
    try:
        with tf.Graph().as_default():  # there, variables take no memory
            weights = keras.models.model_from_json(config).count_params()
    except Exception:  # loading the network will raise it again
        return
    if weights > _NOT_STORED + 2 * values:
        raise ValueError(f"its layers have {weights:,} weights, but it holds {values:,} values")


def _advice(path: Path, error: Exception) -> str:
    """Return a hint on how to open a file that Keras cannot open; empty if there is none."""
    if "Could not locate" in str(error):
        return "; give the module that defines it with --import"
    if path.suffix != ".keras":
        return "; if an older Keras wrote it, save it again there with model.save('NAME.keras')"
    return ""


def _image_shape(
    path: Path, model: keras.Model, image_size: tuple[int, int] | None
) -> tuple[int, int, int]:
    """Return the shape of a classifier's images.

    Raises:
        InputError: the model is not an image classifier, or its size is not ``image_size``.
    """
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise InputError(
            f"{path} contains {type(model).__name__}, a subclassed or unbuilt model, which has no "
            "graph of layers; build it with the functional API"
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise InputError(
            f"{path} has {len(model.inputs)} inputs and {len(model.outputs)} outputs; "
            "it must have one of each"
        )
    takes, gives = model.inputs[0].shape, model.outputs[0].shape
    image = takes[1:] if len(takes) == 4 else (*takes[1:], 1)
    if len(takes) not in (3, 4) or len(gives) != 2 or None in (image[2], gives[1]):
        raise InputError(
            f"{path} must take images [N, H, W, C] or [N, H, W] and return one value for each "
            f"class, [N, classes]; it takes {takes} and returns {gives}"
        )
    own = image[:2]
    if None in own and image_size is None:
        raise InputError(f"{path} takes images of any size; set one with --image-size")
    size = image_size or own
    if own != size and any(length not in (None, size[at]) for at, length in enumerate(own)):
        raise InputError(
            f"{path} takes images of {own[0]}x{own[1]}, received --image-size {size[0]}x{size[1]}"
        )
    return (*size, image[2])
