"""Write the int8 file as a C++ library for TensorFlow Lite Micro (TFLM).

The package's folder ``board`` contains the templates, with ``@name@`` for each value:

======================= =======================================================================
src/@model@.h, .cpp     the interface: Setup, Classify and the class names
src/model_data.*        the LiteRT file as an aligned constant
src/op_resolver.h       registers exactly the operators that the network uses
src/@model@_self_test.* a function that replays golden images and compares every output byte
src/golden.*            the golden images, and their expected output bytes
examples/               the self-test as a program, and as an Arduino sketch
CMakeLists.txt, ...     build files for CMake, ESP-IDF, Arduino and PlatformIO
======================= =======================================================================
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from etils import epy

from export.litert import arena, flatbuffer, rounding
from export.litert.flatbuffer import Graph
from zoo.bundles import runtimes
from zoo.data.preprocessing import Preprocessing
from zoo.data.splits import Split
from zoo.errors import InputError

with epy.lazy_imports():
    import keras

FOLDER = "microcontroller"
MODEL_DATA = "src/model_data.cpp"
"""The source file that contains the LiteRT file, within the folder."""

TESTED_WITH = (
    "TensorFlow Lite Micro of August 2026, C++17, with its reference kernels and with CMSIS-NN, "
    "under QEMU on Cortex-M3, M7 and M55"
)
CODE_BYTES = 75_000
"""Approximate bytes of flash for the program's code: TFLM and the C library.

The model and, in the self-test, the golden images come in addition. Measured on a Cortex-M with
ltfn5 (407 kB, of which 337 kB are the model) and compact-10k (91 kB, of which 18 kB are the model).
"""

_TEMPLATES = Path(__file__).parent / "board"
_VERSION = "1.0.0"  # of the library; all four build systems require one
_LONGEST_NAME = 48  # PlatformIO allows 50 characters, Arduino 63

# LiteRT operation -> method of TFLM's resolver that registers it.
_REGISTRATIONS = {
    "ADD": "AddAdd",
    "AVERAGE_POOL_2D": "AddAveragePool2D",
    "CONCATENATION": "AddConcatenation",
    "CONV_2D": "AddConv2D",
    "DEPTHWISE_CONV_2D": "AddDepthwiseConv2D",
    "DEQUANTIZE": "AddDequantize",
    "FULLY_CONNECTED": "AddFullyConnected",
    "HARD_SWISH": "AddHardSwish",
    "LEAKY_RELU": "AddLeakyRelu",
    "LOGISTIC": "AddLogistic",
    "MAX_POOL_2D": "AddMaxPool2D",
    "MEAN": "AddMean",
    "MUL": "AddMul",
    "PAD": "AddPad",
    "QUANTIZE": "AddQuantize",
    "RELU": "AddRelu",
    "RELU6": "AddRelu6",
    "RESHAPE": "AddReshape",
    "SOFTMAX": "AddSoftmax",
    "SUB": "AddSub",
    "SUM": "AddSum",
    "TANH": "AddTanh",
}

# The Keras layers that convert to these operations.
_LAYERS = {
    "Activation",
    "Add",
    "AveragePooling2D",
    "BatchNormalization",
    "Concatenate",
    "Conv2D",
    "Dense",
    "DepthwiseConv2D",
    "Dropout",
    "Flatten",
    "GlobalAveragePooling2D",
    "Identity",
    "InputLayer",
    "LeakyReLU",
    "MaxPooling2D",
    "Multiply",
    "ReLU",
    "Rescaling",
    "Reshape",
    "SeparableConv2D",
    "Subtract",
    "ZeroPadding2D",
}


def check_layers(model: keras.Model) -> None:
    """Reject a network with unsupported layers before anything is converted.

    Raises:
        InputError: there are unsupported layers; the message names them.
    """
    unknown = [
        f"{type(layer).__name__} (layer {layer.name!r})"
        for layer in model.layers
        if type(layer).__name__ not in _LAYERS
    ]
    if unknown:
        raise InputError(
            f"the export to TensorFlow Lite Micro does not support {', '.join(unknown)}; it "
            f"supports {', '.join(sorted(_LAYERS))}"
        )


def check(graph: Graph) -> None:
    """Reject a network with unsupported operations.

    Raises:
        InputError: there are unsupported operations; the message names them.
    """
    unknown = sorted({each.name for each in graph.operators} - _REGISTRATIONS.keys())
    if unknown:
        raise InputError(
            f"the export to TensorFlow Lite Micro does not support {', '.join(unknown)}; it "
            f"supports {', '.join(_REGISTRATIONS)}"
        )


def write(
    content: bytes,
    images: np.ndarray,
    folder: Path,
    *,
    name: str,
    class_names: Sequence[str],
    preprocessing: Preprocessing,
    multiply_adds: int,
) -> dict[str, Any]:
    """Write the library, and return its entry in the manifest.

    Args:
        content: an int8 LiteRT file of batch 1.
        images: uint8 [N, H, W, C], the golden inputs.
        folder: destination, which is created.
        name: name of the network.
        class_names: class names in the order of the logits.
        preprocessing: the preprocessing of pictures for the network.
        multiply_adds: multiply-adds of one image.

    Raises:
        InputError: there are unsupported operations, or LiteRT's reference kernels, which a
            microcontroller runs, differ from the kernels that the proof of the file has run.
    """
    graph = flatbuffer.read(content)
    check(graph)
    _check_kernels(content, images)
    facts = {
        "folder": FOLDER,
        "namespace": identifier(name),
        "model_bytes": len(content),
        "code_bytes": CODE_BYTES,
        "arena_bytes": {
            "reference": arena.reference_bytes(graph),
            "cmsis_nn": arena.cmsis_nn_bytes(graph),
        },
        "multiply_adds": multiply_adds,
        "operators": sorted({operator.name for operator in graph.operators}),
        "tested_with": TESTED_WITH,
    }
    values = _values(content, images, facts, class_names, preprocessing)
    for template in filter(Path.is_file, _TEMPLATES.rglob("*")):
        file = folder / _filled(template.relative_to(_TEMPLATES).as_posix(), values)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_filled(template.read_text(encoding="ascii"), values), encoding="ascii")
    return facts


def golden_images(content: bytes, split: Split, count: int) -> np.ndarray:
    """Return about ``count`` images for the self-test, up to the same number of each class.

    Args:
        content: an int8 LiteRT file of batch 1.
        split: the split to choose from.
        count: approximate number of images.

    Returns:
        uint8 [N, H, W, C]: the first images of each class that TFLM and LiteRT round alike.

    Raises:
        InputError: no such image is among the first ones, or there are unsupported operations.
    """
    check(flatbuffer.read(content))
    rounds_alike = rounding.rounds_alike_fn(content)
    classes = np.unique(split.labels)
    each = max(1, count // len(classes))
    chosen: list[np.ndarray] = []
    for label in classes:
        first = split.images[np.flatnonzero(split.labels == label)[: 10 * each]]
        chosen += itertools.islice(filter(rounds_alike, first), each)
    if not chosen:
        raise InputError(
            "TensorFlow Lite Micro rounds the outputs of every image differently from LiteRT"
        )
    return np.stack(chosen)


def identifier(name: str) -> str:
    """Return a network's name as a C++ identifier that is neither a keyword nor a file's name.

    >>> identifier("compact-10k")
    'model_compact_10k'
    """
    words = re.sub(r"[^a-z0-9]+", "_", f"model {name}".lower())
    chosen = words[:_LONGEST_NAME].strip("_")
    return f"{chosen}_network" if chosen == Path(MODEL_DATA).stem else chosen


def pixel_bytes(preprocessing: Preprocessing) -> str:
    """Return what the bytes of a pixel are, for the comments and the README.

    >>> pixel_bytes(Preprocessing(height=28, width=28, channels=1, polarity="light-on-dark"))
    'one grey byte, light on dark'
    """
    if preprocessing.channels == 1:
        kept = preprocessing.polarity == "keep"
        polarity = "not inverted" if kept else preprocessing.polarity.replace("-", " ")
        ink = ", with the ink scaled and centered as in MNIST" if preprocessing.ink else ""
        return f"one grey byte, {polarity}{ink}"
    return "red, green, blue" if preprocessing.channels == 3 else "one byte of each channel"


def expected_bytes(content: bytes, images: np.ndarray) -> np.ndarray:
    """Return the outputs of a file with LiteRT's reference kernels, int8 [N, classes]."""
    artifact = runtimes.open_litert(content, reference_kernels=True)
    logits = artifact.outputs["logits"]
    steps = artifact.predict_fn(images) / logits["scale"] + logits["zero_point"]
    return np.rint(steps).astype(np.int8)


def _check_kernels(content: bytes, images: np.ndarray) -> None:
    """Check that the reference kernels return what LiteRT's other kernels return.

    Raises:
        InputError: they differ by more than rounding.
    """
    optimized = runtimes.open_litert(content)
    steps = optimized.predict_fn(images) / optimized.outputs["logits"]["scale"]
    reference = expected_bytes(content, images).astype(np.float32)
    difference = np.abs(reference - optimized.outputs["logits"]["zero_point"] - steps).max()
    if difference > runtimes.INTEGER_STEPS:
        raise InputError(
            f"LiteRT's reference kernels, which microcontrollers run, differ by {difference:.0f} "
            f"steps from its other kernels, allowed {runtimes.INTEGER_STEPS}"
        )


def read_model(folder: Path) -> bytes:
    """Return the LiteRT file that a library's ``model_data.cpp`` contains."""
    text = (folder / MODEL_DATA).read_text(encoding="ascii")
    values = text[text.index("= {") + 3 : text.rindex("};")]
    return bytes(int(value, 16) for value in values.split(",") if value.strip())


def _values(
    content: bytes,
    images: np.ndarray,
    facts: Mapping[str, Any],
    class_names: Sequence[str],
    preprocessing: Preprocessing,
) -> dict[str, Any]:
    """Return the value of each ``@name@`` in the templates."""
    logits = runtimes.open_litert(content).outputs["logits"]
    height, width, channels = images.shape[1:]
    namespace, operators = facts["namespace"], facts["operators"]
    return {
        "model": namespace,
        "MODEL": namespace.upper(),
        "library": namespace.replace("_", "-"),
        "version": _VERSION,
        "height": height,
        "width": width,
        "channels": channels,
        "pixel": pixel_bytes(preprocessing),
        "classes": len(class_names),
        "class_names": "\n".join(f"    {_string(name)}," for name in class_names),
        "logit_scale": str(np.float32(logits["scale"])),
        "logit_zero_point": logits["zero_point"],
        "model_bytes": facts["model_bytes"],
        "model_values": _hexadecimal(content),
        "code_bytes": facts["code_bytes"],
        "reference_arena": facts["arena_bytes"]["reference"],
        "cmsis_nn_arena": facts["arena_bytes"]["cmsis_nn"],
        "multiply_adds": facts["multiply_adds"],
        "operators": ", ".join(operators),
        "operator_count": len(operators),
        "registrations": "\n".join(
            f"  if (resolver.{_REGISTRATIONS[name]}() != kTfLiteOk) return kTfLiteError;"
            for name in operators
        ),
        "golden_count": len(images),
        "golden_inputs": _rows(images.reshape(len(images), -1)),
        "golden_outputs": _rows(expected_bytes(content, images)),
        "tested_with": facts["tested_with"],
    }


def _filled(template: str, values: Mapping[str, Any]) -> str:
    """Replace each ``@name@`` or ``@name:format@`` of a template with its value."""
    pattern = r"@(\w+)(?::([^@\n]+))?@"
    return re.sub(pattern, lambda found: format(values[found[1]], found[2] or ""), template)


def _string(text: str) -> str:
    """Return a text as a C++ string literal in UTF-8."""
    return '"' + "".join(map(_character, text.encode())) + '"'


def _character(byte: int) -> str:
    plain = chr(byte).isascii() and chr(byte).isprintable() and chr(byte) not in '"\\?'
    return chr(byte) if plain else f"\\{byte:03o}"


def _hexadecimal(content: bytes) -> str:
    lines = (content[at : at + 16] for at in range(0, len(content), 16))
    return "\n".join("    " + " ".join(f"0x{byte:02x}," for byte in line) for line in lines)


def _rows(numbers: np.ndarray) -> str:
    return "\n".join("    {" + ", ".join(map(str, row.tolist())) + "}," for row in numbers)
