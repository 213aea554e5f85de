"""Find images for which LiteRT and TensorFlow Lite Micro (TFLM) return the same bytes.

A fully connected layer scales its int32 sums to int8. LiteRT's reference kernel rounds the product
of sum and multiplier once, to int8. TFLM and CMSIS-NN round twice, to 32 bits and then to int8.
About one sum in a thousand is so close to a tie that the results differ by one. All other kernels
agree. Source: ``MultiplyByQuantizedMultiplier`` in ``common.cc`` of LiteRT and TFLM.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from export.litert import flatbuffer
from zoo.bundles.runtimes import open_with_all_tensors, quantize


def rounds_alike_fn(content: bytes) -> Callable[[np.ndarray], bool]:
    """Return a function that checks whether LiteRT and TFLM agree on an image, uint8 [H, W, C].

    Args:
        content: an int8 LiteRT file of batch 1.
    """
    graph = flatbuffer.read(content)
    dense = [each for each in graph.operators if each.name == "FULLY_CONNECTED"]
    interpreter = open_with_all_tensors(content)
    (pixels,) = interpreter.get_input_details()
    details = {each["index"]: each for each in interpreter.get_tensor_details()}

    def sums_and_scales(operator: flatbuffer.Operator) -> tuple[np.ndarray, np.ndarray]:
        def value(at: int) -> np.ndarray:
            return interpreter.get_tensor(at).astype(np.int64)

        inputs, weights, *bias = operator.inputs
        (output,) = operator.outputs
        (scale, zero_point), (output_scale, _) = (
            details[at]["quantization"] for at in (inputs, output)
        )
        kernel = value(weights)  # [outputs, inputs]; one row of the inputs for each position
        rows = value(inputs).reshape(-1, kernel.shape[1]) - zero_point
        sums = rows @ kernel.T + sum(map(value, bias))
        return sums, _scales(details[weights]) * float(scale) / float(output_scale)

    def rounds_alike(image: np.ndarray) -> bool:
        interpreter.set_tensor(pixels["index"], quantize(image[None], pixels))
        interpreter.invoke()
        found = map(sums_and_scales, dense)
        return all(np.array_equal(_rounded_once(*each), _rounded_twice(*each)) for each in found)

    return rounds_alike


def _scales(weights: dict[str, Any]) -> np.ndarray:
    """Return the weight scales, float64: one for each output, or one for all."""
    return weights["quantization_parameters"]["scales"].astype(np.float64)


def _fixed_point(scales: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return multipliers and exponents, int64, so that scale = multiplier * 2^(exponent - 31)."""
    fractions, exponents = np.frexp(scales)
    return np.rint(fractions * 2**31).astype(np.int64), exponents.astype(np.int64)


def _rounded_once(sums: np.ndarray, scales: np.ndarray) -> np.ndarray:
    multipliers, exponents = _fixed_point(scales)
    shift = 31 - exponents
    return (sums * multipliers + (1 << (shift - 1))) >> shift


def _rounded_twice(sums: np.ndarray, scales: np.ndarray) -> np.ndarray:
    multipliers, exponents = _fixed_point(scales)
    left, right = np.maximum(exponents, 0), np.maximum(-exponents, 0)
    high = ((sums << left) * multipliers + (1 << 30)) >> 31
    # Ties are rounded away from zero.
    return np.sign(high) * ((np.abs(high) + ((1 << right) >> 1)) >> right)
