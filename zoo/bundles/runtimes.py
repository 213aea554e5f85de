"""Load any artifact as a function from uint8 images [N, H, W, C] to float32 logits [N, classes]."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from etils import epy

from zoo.bundles import browser
from zoo.errors import InputError, first_line
from zoo.metrics import PredictFn
from zoo.util import backend, stderr

with epy.lazy_imports():
    import onnxruntime
    import openvino
    import tensorflow as tf
    from ai_edge_litert import interpreter as litert

INTEGER_STEPS = 4
"""Steps, each the scale of the quantized logits, by which kernels may differ in rounding.

Kernels of different processors may differ by one step in each layer; this allows for several.
"""

SecondsFn = Callable[[np.ndarray], float]
"""uint8 images [N, H, W, C] -> seconds that they take, one after another."""


@dataclass(frozen=True)
class Artifact:
    """A loaded SavedModel or file.

    Attributes:
        predict_fn: function from images to logits.
        inputs: dtype, shape and (if quantized) scale and zero point of each input, by name.
        outputs: the same for each output.
        seconds_fn: function from images to the seconds that the runtime takes for them, one after
            another; None if ``predict_fn`` can be timed itself.
    """

    predict_fn: PredictFn
    inputs: dict[str, dict[str, Any]]
    outputs: dict[str, dict[str, Any]]
    seconds_fn: SecondsFn | None = None


def load_predict_fn(path: str | Path) -> PredictFn:
    """Return the ``predict_fn`` of a SavedModel folder, a LiteRT, ONNX or OpenVINO file, or a page.

    Raises:
        InputError: the path is none of these, or its runtime is missing or cannot read it.

    >>> predict_fn = export.load_predict_fn("exports/ltfn5/1/tflite/ltfn5-float32.tflite")
    >>> predict_fn(np.zeros((3, 28, 28, 1), np.uint8)).shape
    (3, 10)
    """
    return open_artifact(Path(path)).predict_fn


def open_artifact(path: Path, threads: int = 1, *, network: int = 0) -> Artifact:
    """Load a SavedModel folder, a ``.tflite``, ``.onnx`` or OpenVINO ``.xml`` file, or a page.

    Args:
        path: the folder or file.
        threads: number of threads for LiteRT, ONNX Runtime or OpenVINO; TensorFlow's threads belong
            to the whole process and are not set here, and a page has one.
        network: position of the network in a page that has several.

    Raises:
        InputError: the path is none of these, or its runtime is missing or cannot read it.
    """
    openers = {
        ".tflite": _open_tflite,
        ".onnx": _open_onnx,
        ".xml": open_openvino,
        ".html": lambda file, _: _open_page(file, network),
    }
    try:
        if path.is_dir():
            return _open_saved_model(path)
        if path.suffix in openers and path.is_file():
            return openers[path.suffix](path, threads)
    except ImportError as error:
        raise InputError(f"{path} needs {error.name}, which is not installed") from error
    except Exception as error:  # each runtime defines its own errors
        raise InputError(f"{path} cannot be loaded: {first_line(error)}") from error
    raise InputError(f"{path} is neither a SavedModel folder nor a {', '.join(openers)} file")


def open_alone(path: Path, threads: int = 1) -> Artifact:
    """Load an artifact with ``threads`` threads, in a process that runs nothing else.

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
        # Called through the loaded object, since a signature does not keep the variables alive.
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
    # Load bytes: the runtime was seen to crash on damaged files, but not on damaged bytes.
    return open_litert(file.read_bytes(), threads)


def open_litert(content: bytes, threads: int = 1, *, reference_kernels: bool = False) -> Artifact:
    """Load the bytes of a LiteRT file.

    Args:
        content: the bytes.
        threads: number of threads to use.
        reference_kernels: use the reference kernels, whose integers equal those of TensorFlow Lite
            Micro (but see ``export.litert.rounding``); the optimized ones may differ by one step.

    Raises:
        InputError: an integer file does not take the pixels that ``export.convert.tflite`` states.
    """
    kind = litert.OpResolverType
    with stderr.captured():  # the delegate that it creates prints messages
        interpreter = litert.Interpreter(
            model_content=content,
            num_threads=threads,
            experimental_op_resolver_type=kind.BUILTIN_REF if reference_kernels else kind.AUTO,
        )
        interpreter.allocate_tensors()
        runner = interpreter.get_signature_runner("serving_default")
    image = runner.get_input_details()["image"]
    logits = runner.get_output_details()["logits"]
    _check_scale(image)
    batch = image["shape"][0]

    def predict_fn(images: np.ndarray) -> np.ndarray:
        # The last batch is padded with blank images, whose rows are dropped.
        blanks = np.zeros((-len(images) % batch, *images.shape[1:]), images.dtype)
        pixels = quantize(np.concatenate([images, blanks]), image)
        starts = range(0, len(pixels), batch)
        rows = [runner(image=pixels[at : at + batch])["logits"] for at in starts]
        return dequantize(np.concatenate(rows)[: len(images)], logits)

    return Artifact(predict_fn, inputs={"image": _facts(image)}, outputs={"logits": _facts(logits)})


def open_with_all_tensors(content: bytes) -> litert.Interpreter:
    """Load the bytes of a LiteRT file so that the result of every operation can be read.

    Args:
        content: the bytes of a file with batch size 1.

    Returns:
        An allocated interpreter with the reference kernels.
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
        # A dynamic dimension has a name instead of a number.
        shape = [size if isinstance(size, int) else None for size in tensor.shape]
        return {tensor.name: {"dtype": dtype, "shape": shape}}

    return Artifact(
        lambda images: session.run([logits.name], {image.name: images})[0],
        inputs=facts(image, "uint8"),
        outputs=facts(logits, "float32"),
    )


def open_openvino(file: Path, threads: int = 1) -> Artifact:
    """Load any file that OpenVINO can read, with ``threads`` threads."""
    # By default OpenVINO ignores the file's precision on processors with bfloat16.
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
        # With pinning, two processes would share the same core.
        "ENABLE_CPU_PINNING": False,
    }
    compiled = openvino.Core().compile_model(str(file), "CPU", settings)

    def facts(port: Any) -> dict[str, Any]:
        shape = [None if size.is_dynamic else size.get_length() for size in port.partial_shape]
        dtype = np.dtype(port.element_type.to_dtype()).name
        return {port.any_name: {"dtype": dtype, "shape": shape}}

    return Artifact(
        lambda images: compiled(images)[compiled.output(0)],
        inputs=facts(compiled.input(0)),
        outputs=facts(compiled.output(0)),
    )


def _open_page(file: Path, network: int) -> Artifact:
    page = browser.Page(file, network)
    return Artifact(
        page.logits,
        inputs={"image": {"dtype": "float32", "shape": [1, *page.image_shape]}},
        outputs={"logits": {"dtype": "float32", "shape": [1, len(page.facts["labels"])]}},
        seconds_fn=page.seconds,
    )


def _check_scale(image: dict[str, Any]) -> None:
    largest = {np.uint8: 255, np.int16: 32_767}.get(image["dtype"])
    if largest and image["quantization"] != (np.float32(255 / largest), 0):
        scale, zero_point = image["quantization"]
        raise InputError(
            f"its input has scale {scale:g} and zero point {zero_point}, so it does not take "
            "pixels as they are; export the network again"
        )


def quantize(images: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    """Return pixels in the dtype and quantization of a LiteRT input tensor.

    Args:
        images: uint8 pixels.
        tensor: details of the tensor, from the interpreter.
    """
    scale, zero_point = tensor["quantization"]
    if not scale:
        return images.astype(tensor["dtype"])
    limits = np.iinfo(tensor["dtype"])
    numbers = np.rint(images / scale) + zero_point
    return np.clip(numbers, limits.min, limits.max).astype(tensor["dtype"])


def dequantize(numbers: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    """Return the values of a LiteRT tensor as float32, dequantized if needed."""
    scale, zero_point = tensor["quantization"]
    if not scale:
        return numbers.astype(np.float32)
    return ((numbers.astype(np.float32) - zero_point) * scale).astype(np.float32)


def _facts(tensor: dict[str, Any]) -> dict[str, Any]:
    facts = {"dtype": np.dtype(tensor["dtype"]).name, "shape": tensor["shape"].tolist()}
    scale, zero_point = tensor["quantization"]
    return facts | ({"scale": float(scale), "zero_point": int(zero_point)} if scale else {})
