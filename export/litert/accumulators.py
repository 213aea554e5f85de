"""Use 32-bit accumulators in the convolutions of int16x8 files where none can overflow.

The converter uses 64-bit accumulators, for which LiteRT has no optimized convolution; its optimized
convolution for 32-bit accumulators is many times faster. For any image, an accumulator is at most
the sum of the filter's absolute weights times the largest activation, plus the absolute bias.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from etils import epy

from export.litert import flatbuffer

with epy.lazy_imports():
    from ai_edge_litert import schema_py_generated as schema

_LARGEST_ACTIVATION = 32_768
_LARGEST_SUM = 2**31 - 1


def narrowed(content: bytes) -> bytes:
    """Return an int16x8 file with 32-bit accumulators in its convolutions where that is safe.

    Args:
        content: a LiteRT file with int16 activations, int8 weights and int64 biases.
    """
    model = flatbuffer.unpacked(content)
    graph = model.subgraphs[0]
    uses = Counter(int(at) for operator in graph.operators for at in operator.inputs)
    for operator in graph.operators:
        kind = flatbuffer.builtin(model.operatorCodes[operator.opcodeIndex])
        # A bias shared by two operations is not changed: 32 bits may be safe for only one of them.
        if kind != schema.BuiltinOperator.CONV_2D or uses[operator.inputs[2]] > 1:
            continue
        kernel, bias = (graph.tensors[at] for at in operator.inputs[1:])
        weights = _values(model, kernel, np.int8).reshape(kernel.shape).astype(np.int64)
        offsets = _values(model, bias, np.int64)
        magnitudes = np.abs(weights).sum(axis=(1, 2, 3))
        if np.all(magnitudes * _LARGEST_ACTIVATION + np.abs(offsets) <= _LARGEST_SUM):
            # A new buffer, because another bias may share the old one.
            bias.buffer = len(model.buffers)
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(offsets.astype("<i4").tobytes(), np.uint8)
            model.buffers.append(buffer)
            bias.type = operator.builtinOptions.quantizedBiasType = schema.TensorType.INT32
    # The 64-bit biases that were replaced are removed from the file.
    used = {each.buffer for each in [*graph.tensors, *(model.metadata or [])]}
    for at, unused in enumerate(model.buffers):
        if at not in used:
            unused.data = None
    return flatbuffer.packed(model)


def _values(model: schema.ModelT, tensor: schema.TensorT, dtype: type) -> np.ndarray:
    return np.frombuffer(bytes(model.buffers[tensor.buffer].data), dtype)
