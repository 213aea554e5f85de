"""Every artifact behind one seam: uint8 images [N, H, W, C] in, float32 logits [N, classes] out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from etils import epy

from zoo.errors import InputError
from zoo.metrics import PredictFn
from zoo.util import backend, stderr

with epy.lazy_imports():
    import onnxruntime
    import openvino
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
    """Return the predictions of a SavedModel folder, or a LiteRT, ONNX or OpenVINO file.

    Raises:
        InputError: the path is none of these, or its runtime is missing or cannot read it.
    """
    return open_artifact(Path(path)).predict_fn


def open_artifact(path: Path, threads: int = 1) -> Artifact:
    """Load a SavedModel folder, or a ``.tflite``, ``.onnx`` or OpenVINO ``.xml`` file.

    Args:
        path: the folder or file.
        threads: of LiteRT, ONNX Runtime or OpenVINO; a process has one TensorFlow, whose threads
            are not set here.

    Raises:
        InputError: the path is none of these, or its runtime is missing or cannot read it.
    """
    openers = {".tflite": _open_tflite, ".onnx": _open_onnx, ".xml": open_openvino}
    try:
        if path.is_dir():
            return _open_saved_model(path)
        if path.suffix in openers and path.is_file():
            return openers[path.suffix](path, threads)
    except ImportError as error:
        raise InputError(f"{path} needs {error.name}, which is not installed") from error
    except Exception as error:  # each runtime has errors of its own
        told = str(error).strip() or type(error).__name__
        raise InputError(f"{path} cannot be loaded: {told.splitlines()[0]}") from error
    raise InputError(f"{path} is neither a SavedModel folder nor a {', '.join(openers)} file")


def open_alone(path: Path, threads: int = 1) -> Artifact:
    """Load an artifact in a process that runs nothing else, and has so many threads for it.

    Raises:
        InputError: as ``open_artifact`` does.
    """
    if path.is_dir():
        backend.start_tensorflow()
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    return open_artifact(path, threads)


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


def _open_tflite(file: Path, threads: int) -> Artifact:
    # From bytes: the runtime was seen to survive damaged bytes, not damaged files.
    return open_litert(file.read_bytes(), threads)


def open_litert(content: bytes, threads: int = 1, *, reference_kernels: bool = False) -> Artifact:
    """Load a LiteRT file's bytes.

    Args:
        content: the bytes.
        threads: that it may use.
        reference_kernels: use the plain kernels, whose integers TensorFlow Lite Micro repeats
            (but see ``export.litert.rounding``); the optimized ones may round one step off.
    """
    kind = litert.OpResolverType
    with stderr.held_back():  # of the delegate that it creates
        interpreter = litert.Interpreter(
            model_content=content,
            num_threads=threads,
            experimental_op_resolver_type=kind.BUILTIN_REF if reference_kernels else kind.AUTO,
        )
        interpreter.allocate_tensors()
        runner = interpreter.get_signature_runner("serving_default")
    image = runner.get_input_details()["image"]
    logits = runner.get_output_details()["logits"]
    batch = image["shape"][0]

    def predict_fn(images: np.ndarray) -> np.ndarray:
        # The last batch is filled up with blanks, whose rows are dropped.
        blanks = np.zeros((-len(images) % batch, *images.shape[1:]), images.dtype)
        pixels = quantized(np.concatenate([images, blanks]), image)
        starts = range(0, len(pixels), batch)
        rows = [runner(image=pixels[at : at + batch])["logits"] for at in starts]
        return real(np.concatenate(rows)[: len(images)], logits)

    return Artifact(predict_fn, inputs={"image": _facts(image)}, outputs={"logits": _facts(logits)})


def open_for_every_result(content: bytes) -> litert.Interpreter:
    """Load a LiteRT file's bytes so that each operation's result can be read, not only the last.

    Args:
        content: the bytes, of batch 1.

    Returns:
        An allocated interpreter with the plain kernels.
    """
    interpreter = litert.Interpreter(
        model_content=content,
        experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    return interpreter


def _open_onnx(file: Path, threads: int) -> Artifact:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(
        file.read_bytes(), options, providers=["CPUExecutionProvider"]
    )
    (image,), (logits,) = session.get_inputs(), session.get_outputs()

    def facts(tensor: Any, dtype: str) -> dict[str, Any]:
        # A size that is free has a name instead of a number.
        shape = [size if isinstance(size, int) else None for size in tensor.shape]
        return {tensor.name: {"dtype": dtype, "shape": shape}}

    return Artifact(
        lambda images: session.run([logits.name], {image.name: images})[0],
        inputs=facts(image, "uint8"),
        outputs=facts(logits, "float32"),
    )


def open_openvino(file: Path, threads: int = 1) -> Artifact:
    """Load any file that OpenVINO reads, with this many threads."""
    # Its usual precision on processors with bfloat16 is not that of the file.
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
        # Two processes would be pinned to the same core.
        "ENABLE_CPU_PINNING": False,
    }
    compiled = openvino.Core().compile_model(str(file), "CPU", settings)

    def facts(port: Any, name: str, dtype: str) -> dict[str, Any]:
        shape = [None if size.is_dynamic else size.get_length() for size in port.partial_shape]
        return {name: {"dtype": dtype, "shape": shape}}

    return Artifact(
        lambda images: compiled(images)[compiled.output(0)],
        inputs=facts(compiled.input(0), "image", "uint8"),
        outputs=facts(compiled.output(0), "logits", "float32"),
    )


def quantized(images: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    """Return pixels in a LiteRT tensor's own numbers.

    Args:
        images: uint8 pixels.
        tensor: its details, as the interpreter gives them.
    """
    scale, zero_point = tensor["quantization"]
    if not scale:
        return images.astype(tensor["dtype"])
    limits = np.iinfo(tensor["dtype"])
    numbers = np.rint(images / scale) + zero_point
    return np.clip(numbers, limits.min, limits.max).astype(tensor["dtype"])


def real(numbers: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    """Return what a LiteRT tensor's numbers stand for, as float32."""
    scale, zero_point = tensor["quantization"]
    if not scale:
        return numbers.astype(np.float32)
    return ((numbers.astype(np.float32) - zero_point) * scale).astype(np.float32)


def _facts(tensor: dict[str, Any]) -> dict[str, Any]:
    facts = {"dtype": np.dtype(tensor["dtype"]).name, "shape": tensor["shape"].tolist()}
    scale, zero_point = tensor["quantization"]
    return facts | ({"scale": float(scale), "zero_point": int(zero_point)} if scale else {})
