"""Every artifact behind one seam: uint8 images [N, H, W, C] in, float32 logits [N, classes] out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from etils import epy

from zoo.errors import InputError
from zoo.metrics import PredictFn

with epy.lazy_imports():
    import tensorflow as tf
    from ai_edge_litert import interpreter as litert


@dataclass(frozen=True)
class Artifact:
    """A loaded file.

    Attributes:
        predict_fn: its predictions.
        inputs: by name, the dtype, shape and (if quantized) scale and zero point.
        outputs: the same of its results.
    """

    predict_fn: PredictFn
    inputs: dict[str, dict[str, Any]]
    outputs: dict[str, dict[str, Any]]


def load_predict_fn(path: str | Path) -> PredictFn:
    """Return the predictions of a SavedModel folder or a ``.tflite`` file.

    Raises:
        InputError: the path is neither, or its runtime cannot read it.
    """
    return open_artifact(Path(path)).predict_fn


def open_artifact(path: Path) -> Artifact:
    """Load a SavedModel folder or a ``.tflite`` file with its own runtime.

    Raises:
        InputError: the path is neither, or its runtime cannot read it.
    """
    try:
        if path.is_dir():
            return _open_saved_model(path)
        if path.suffix == ".tflite" and path.is_file():
            return _open_tflite(path)
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{path} cannot be loaded: {str(error).splitlines()[0]}") from error
    raise InputError(f"{path} is neither a SavedModel folder nor a .tflite file")


def _open_saved_model(folder: Path) -> Artifact:
    loaded = tf.saved_model.load(str(folder))
    signature = loaded.signatures["serving_default"]

    def predict_fn(images: np.ndarray) -> np.ndarray:
        # Through the loaded object: it owns the variables, which a signature does not keep alive.
        return loaded.signatures["serving_default"](image=tf.constant(images))["logits"].numpy()

    def facts(specs: dict[str, Any]) -> dict[str, dict[str, Any]]:
        return {
            name: {"dtype": spec.dtype.name, "shape": spec.shape.as_list()}
            for name, spec in specs.items()
        }

    return Artifact(
        predict_fn,
        inputs=facts(signature.structured_input_signature[1]),
        outputs=facts(signature.structured_outputs),
    )


def _open_tflite(file: Path) -> Artifact:
    # From bytes: the runtime was seen to survive damaged bytes, not damaged files.
    interpreter = litert.Interpreter(model_content=file.read_bytes(), num_threads=1)
    runner = interpreter.get_signature_runner("serving_default")
    image = runner.get_input_details()["image"]
    logits = runner.get_output_details()["logits"]

    def predict_fn(images: np.ndarray) -> np.ndarray:
        pixels = _quantized(images, image)
        rows = [runner(image=pixels[at : at + 1])["logits"] for at in range(len(pixels))]
        return _real(np.concatenate(rows), logits)

    return Artifact(predict_fn, inputs={"image": _facts(image)}, outputs={"logits": _facts(logits)})


def _quantized(images: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    """Return the pixels in the tensor's own numbers."""
    scale, zero_point = tensor["quantization"]
    if not scale:
        return images.astype(tensor["dtype"])
    limits = np.iinfo(tensor["dtype"])
    numbers = np.rint(images / scale) + zero_point
    return np.clip(numbers, limits.min, limits.max).astype(tensor["dtype"])


def _real(numbers: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    """Return what the tensor's numbers stand for, as float32."""
    scale, zero_point = tensor["quantization"]
    if not scale:
        return numbers.astype(np.float32)
    return ((numbers.astype(np.float32) - zero_point) * scale).astype(np.float32)


def _facts(tensor: dict[str, Any]) -> dict[str, Any]:
    facts = {"dtype": np.dtype(tensor["dtype"]).name, "shape": tensor["shape"].tolist()}
    scale, zero_point = tensor["quantization"]
    return facts | ({"scale": float(scale), "zero_point": int(zero_point)} if scale else {})
