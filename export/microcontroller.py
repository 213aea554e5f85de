"""The int8 file as C++ sources for TensorFlow Lite Micro (TFLM).

=================== ==========================================================================
model_data.h, .cc   the LiteRT file as an aligned constant, and the arena it needs
op_resolver.h       the registration of exactly the operations that it uses
golden.h, .cc       a few test images and the output bytes that TFLM must give for them
main.cc             a program that replays them and says whether every byte is right
=================== ==========================================================================
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from etils import epy

from export import arena, flatbuffer, runtimes
from export.flatbuffer import Graph
from zoo.errors import InputError

with epy.lazy_imports():
    import keras

FOLDER = "microcontroller"

# LiteRT operation -> what TFLM's resolver calls its registration.
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

# The Keras layers whose operations are among these.
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
    """Refuse, before anything is converted, a network with layers that TFLM may not run.

    Raises:
        InputError: there are such layers; the message names them.
    """
    unknown = [
        f"{type(layer).__name__} (layer {layer.name!r})"
        for layer in model.layers
        if type(layer).__name__ not in _LAYERS
    ]
    if unknown:
        raise InputError(
            f"TensorFlow Lite Micro is not known to run {', '.join(unknown)}; it runs "
            f"{', '.join(sorted(_LAYERS))}"
        )


def check(graph: Graph) -> None:
    """Refuse a network that TFLM cannot run.

    Raises:
        InputError: an operation that these sources do not know to register.
    """
    unknown = sorted({each.name for each in graph.operators} - _REGISTRATIONS.keys())
    if unknown:
        raise InputError(
            f"TensorFlow Lite Micro is not known to run {', '.join(unknown)}; it runs "
            f"{', '.join(_REGISTRATIONS)}"
        )


def write(content: bytes, images: np.ndarray, folder: Path) -> None:
    """Write the sources.

    Args:
        content: an int8 LiteRT file of batch 1.
        images: uint8 [N, H, W, C], the golden inputs.
        folder: where to; it is made.

    Raises:
        InputError: as ``check`` does.
    """
    graph = flatbuffer.read(content)
    check(graph)
    outputs = expected_bytes(content, images)
    folder.mkdir()
    sources = {
        "model_data.h": _MODEL_HEADER.format(size=len(content), **_arena_bytes(graph)),
        "model_data.cc": _MODEL_SOURCE.format(values=_values(content)),
        "op_resolver.h": _op_resolver(graph),
        "golden.h": _GOLDEN_HEADER.format(
            count=len(images), input_size=images[0].size, output_size=outputs.shape[1]
        ),
        "golden.cc": _GOLDEN_SOURCE.format(
            inputs=_rows(images.reshape(len(images), -1)), outputs=_rows(outputs)
        ),
        "main.cc": _MAIN,
    }
    for name, text in sources.items():
        (folder / name).write_text(text, encoding="ascii")


def facts(folder: Path) -> dict[str, Any]:
    """Return what a manifest says of the sources in a folder."""
    content = read_model(folder)
    graph = flatbuffer.read(content)
    return {
        "folder": FOLDER,
        "flash_bytes": len(content),
        "arena_bytes": _arena_bytes(graph),
        "operators": sorted({operator.name for operator in graph.operators}),
    }


def expected_bytes(content: bytes, images: np.ndarray) -> np.ndarray:
    """Return what the file's reference kernels compute, int8 [N, classes]."""
    artifact = runtimes.open_litert(content, reference_kernels=True)
    logits = artifact.outputs["logits"]
    steps = artifact.predict_fn(images) / logits["scale"] + logits["zero_point"]
    return np.rint(steps).astype(np.int8)


def read_model(folder: Path) -> bytes:
    """Return the LiteRT file that ``model_data.cc`` holds."""
    text = (folder / "model_data.cc").read_text(encoding="ascii")
    values = text[text.index("= {") + 3 : text.rindex("};")]
    return bytes(int(value, 16) for value in values.split(",") if value.strip())


def _arena_bytes(graph: Graph) -> dict[str, int]:
    """Return the bytes of the arena for each set of kernels."""
    return {
        "reference": arena.reference_bytes(graph),
        "cmsis_nn": arena.cmsis_nn_bytes(graph),
    }


def _op_resolver(graph: Graph) -> str:
    names = sorted({operator.name for operator in graph.operators})
    calls = "\n".join(
        f"  if (resolver.{_REGISTRATIONS[name]}() != kTfLiteOk) return kTfLiteError;"
        for name in names
    )
    return _RESOLVER.format(count=len(names), calls=calls)


def _values(content: bytes) -> str:
    lines = (content[at : at + 16] for at in range(0, len(content), 16))
    return "\n".join("    " + " ".join(f"0x{byte:02x}," for byte in line) for line in lines)


def _rows(numbers: np.ndarray) -> str:
    return "\n".join("    {" + ", ".join(map(str, row.tolist())) + "}," for row in numbers)


_MODEL_HEADER = """\
#ifndef MODEL_DATA_H_
#define MODEL_DATA_H_

#include <cstddef>

// The LiteRT file.
alignas(16) extern const unsigned char g_model[];
constexpr std::size_t kModelBytes = {size};

// Bytes of the tensor arena for the reference kernels of TensorFlow Lite Micro.
constexpr std::size_t kReferenceArenaBytes = {reference};

// Bytes of the tensor arena for CMSIS-NN's kernels; enough for the reference kernels too.
constexpr std::size_t kCmsisNnArenaBytes = {cmsis_nn};

#endif  // MODEL_DATA_H_
"""

_MODEL_SOURCE = """\
#include "model_data.h"

alignas(16) const unsigned char g_model[kModelBytes] = {{
{values}
}};
"""

_RESOLVER = """\
#ifndef OP_RESOLVER_H_
#define OP_RESOLVER_H_

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

using OpResolver = tflite::MicroMutableOpResolver<{count}>;

inline TfLiteStatus RegisterOps(OpResolver& resolver) {{
{calls}
  return kTfLiteOk;
}}

#endif  // OP_RESOLVER_H_
"""

_GOLDEN_HEADER = """\
#ifndef GOLDEN_H_
#define GOLDEN_H_

#include <cstddef>
#include <cstdint>

constexpr std::size_t kGoldenCount = {count};
constexpr std::size_t kInputBytes = {input_size};
constexpr std::size_t kOutputBytes = {output_size};

// Pixels as they are, and the output tensor's bytes for them.
extern const std::uint8_t g_golden_inputs[kGoldenCount][kInputBytes];
extern const std::int8_t g_golden_outputs[kGoldenCount][kOutputBytes];

#endif  // GOLDEN_H_
"""

_GOLDEN_SOURCE = """\
#include "golden.h"

const std::uint8_t g_golden_inputs[kGoldenCount][kInputBytes] = {{
{inputs}
}};

const std::int8_t g_golden_outputs[kGoldenCount][kOutputBytes] = {{
{outputs}
}};
"""

_MAIN = """\
// Replays the golden inputs with TensorFlow Lite Micro: 0 if every output byte is as expected.

#include <cstdio>
#include <cstring>

#include "golden.h"
#include "model_data.h"
#include "op_resolver.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/system_setup.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {

alignas(16) std::uint8_t tensor_arena[kCmsisNnArenaBytes];

int Fail(const char* what) {
  std::printf("FAILED: %s\\n", what);
  return 1;
}

}  // namespace

int main() {
  tflite::InitializeTarget();
  const tflite::Model* model = tflite::GetModel(g_model);
  if (model->version() != TFLITE_SCHEMA_VERSION) return Fail("the schema has another version");

  static OpResolver resolver;
  if (RegisterOps(resolver) != kTfLiteOk) return Fail("an operation is missing");

  tflite::MicroInterpreter interpreter(model, resolver, tensor_arena, kCmsisNnArenaBytes);
  if (interpreter.AllocateTensors() != kTfLiteOk) return Fail("the arena is too small");

  TfLiteTensor* input = interpreter.input(0);
  TfLiteTensor* output = interpreter.output(0);
  if (input->bytes != kInputBytes || output->bytes != kOutputBytes) {
    return Fail("the tensors have other sizes");
  }
  for (std::size_t i = 0; i < kGoldenCount; ++i) {
    std::memcpy(input->data.raw, g_golden_inputs[i], kInputBytes);
    if (interpreter.Invoke() != kTfLiteOk) return Fail("an operation failed");
    if (std::memcmp(output->data.raw, g_golden_outputs[i], kOutputBytes) != 0) {
      return Fail("an output differs from what was expected");
    }
  }
  std::printf("PASSED: %zu golden inputs\\n", kGoldenCount);
  return 0;
}
"""
