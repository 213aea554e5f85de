"""Measure the per-layer quantization error: the error of each operation's result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from export.litert import flatbuffer
from zoo.bundles.runtimes import dequantize, open_with_all_tensors, quantize

# These only convert number formats: the float32 file has no counterpart to compare with.
_CONVERSIONS = {"QUANTIZE", "DEQUANTIZE"}


@dataclass(frozen=True)
class LayerError:
    """The quantization error of one operation's result.

    Attributes:
        operator: name of the operation.
        tensor: name of the result.
        error: root mean square of the difference, divided by that of the float32 result.
    """

    operator: str
    tensor: str
    error: float


def measure(original: bytes, converted: bytes, images: np.ndarray) -> list[LayerError]:
    """Return the quantization error of each operation's result, in execution order.

    Args:
        original: the float32 LiteRT file, batch 1.
        converted: the same network in another format, batch 1.
        images: uint8 [N, H, W, C] on which the errors are measured.

    Returns:
        The errors; none if the files have different operations.
    """
    expected = _results(original, images)
    computed = _results(converted, images)
    if [name for name, _, _ in expected] != [name for name, _, _ in computed]:
        return []
    return [
        LayerError(name, tensor, _rms(there - here) / max(_rms(here), 1e-30))
        for (name, tensor, here), (_, _, there) in zip(expected, computed, strict=True)
    ]


def report(found: list[LayerError]) -> str:
    """Return the errors as lines of text, with the largest increase marked."""
    errors = [0.0, *(each.error for each in found)]
    growth = np.diff(errors)
    lines = ["relative error of each operation's result:"]
    for at, each in enumerate(found):
        mark = "   <- largest increase" if at == int(np.argmax(growth)) else ""
        short = each.tensor.split(";")[0]
        lines.append(f"  {each.operator:<18} {100 * each.error:8.3f} %  {short}{mark}")
    return "\n".join(lines)


def _results(content: bytes, images: np.ndarray) -> list[tuple[str, str, np.ndarray]]:
    """Return the name of each operation, and the name and the values of its result."""
    graph = flatbuffer.read(content)
    steps = [each for each in graph.operators if each.name not in _CONVERSIONS]
    interpreter = open_with_all_tensors(content)
    (image,) = interpreter.get_input_details()
    details = {each["index"]: each for each in interpreter.get_tensor_details()}
    rows: list[list[np.ndarray]] = []
    for at in range(len(images)):
        interpreter.set_tensor(image["index"], quantize(images[at : at + 1], image))
        interpreter.invoke()
        outputs = [details[step.outputs[0]] for step in steps]
        rows.append([dequantize(interpreter.get_tensor(each["index"]), each) for each in outputs])
    return [
        (step.name, graph.tensors[step.outputs[0]].name, np.concatenate(results))
        for step, results in zip(steps, zip(*rows, strict=True), strict=True)
    ]


def _rms(numbers: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(numbers))))
