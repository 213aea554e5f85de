"""Compute the size of the TensorFlow Lite Micro (TFLM) tensor arena for each set of kernels.

The arena contains the activations, a scratch buffer for each operator whose kernel requests one,
and TFLM's persistent data. A scratch buffer is needed only while its operator runs. Activations and
scratch buffers are planned exactly as in TFLM; for the persistent data an upper bound is used.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from export.litert.flatbuffer import Graph, Operator
from export.litert.memory import Buffer, activations, aligned, planned_bytes

# TFLM's persistent data, in bytes on a 64-bit machine, where pointers are largest; measured with
# its recording allocator.
_PER_TENSOR = 24
_PER_OPERATOR = 64 + 128  # its node, and its aligned data
_PER_CHANNEL = 8  # a multiplier and a shift for each channel's scale
_PER_SCRATCH_BUFFER = 16  # a pointer to it, and its index in the operator's data
_FIXED = 1280

# Channels that CMSIS-NN's depthwise convolution for Helium processes at once (CH_IN_BLOCK_MVE).
_DEPTHWISE_BLOCK = 124

_Scratch = Callable[[Graph, Operator], int]


def reference_bytes(graph: Graph) -> int:
    """Return an arena size in bytes that suffices for TFLM's reference kernels."""
    return _arena_bytes(graph, _reference_scratch)


def cmsis_nn_bytes(graph: Graph) -> int:
    """Return an arena size in bytes that suffices for CMSIS-NN's kernels on every Cortex-M.

    It also suffices for the reference kernels.
    """
    sums = sum(
        aligned(4 * graph.tensors[operator.outputs[0]].shape[-1])
        for operator in graph.operators
        if operator.name == "FULLY_CONNECTED"
    )
    # With Helium, a fully connected layer permanently stores an int32 sum of the weights of each
    # output (arm_fully_connected_s8_get_buffer_size_mve).
    return _arena_bytes(graph, _cmsis_nn_scratch) + sums


def _arena_bytes(graph: Graph, scratch: _Scratch) -> int:
    buffers = [
        Buffer(size, step, step)
        for step, operator in enumerate(graph.operators)
        if (size := scratch(graph, operator))
    ]
    channels = sum(
        graph.tensors[at].scale_count
        for operator in graph.operators
        for at in operator.inputs
        if graph.tensors[at].constant and graph.tensors[at].dtype == np.int8
    )
    kept = (
        _PER_TENSOR * len(graph.tensors)
        + _PER_OPERATOR * len(graph.operators)
        + _PER_CHANNEL * channels
        + _PER_SCRATCH_BUFFER * len(buffers)
        + _FIXED
    )
    return aligned(planned_bytes([*activations(graph), *buffers]) + kept)


def _reference_scratch(graph: Graph, operator: Operator) -> int:
    """Return the bytes of the scratch buffer that a reference kernel requests, 0 if none.

    Source: ``micro/kernels/reduce_common.cc``, an int32 sum for each output value.
    """
    if operator.name in ("MEAN", "SUM"):
        return 4 * int(np.prod(graph.tensors[operator.outputs[0]].shape))
    return 0


def _cmsis_nn_scratch(graph: Graph, operator: Operator) -> int:
    """Return the bytes of the scratch buffer that a CMSIS-NN kernel requests, 0 if none.

    The result is the maximum over the three variants of each function (plain C, DSP extension,
    Helium): ``arm_convolve_wrapper_s8_get_buffer_size``, ``arm_avgpool_s8_get_buffer_size`` and
    ``arm_depthwise_conv_wrapper_s8_get_buffer_size``, with the suffixes ``_dsp`` and ``_mve``.
    Other operators use the reference kernel, or a kernel without a buffer.
    """
    shapes = [graph.tensors[at].shape for at in operator.inputs]
    channels = shapes[0][-1] if shapes else 0
    if operator.name == "CONV_2D":
        # Two columns of int16 (plain, DSP) or four of int8, each a multiple of 16 (Helium).
        return 4 * aligned(shapes[1][1] * shapes[1][2] * channels)
    if operator.name == "DEPTHWISE_CONV_2D":
        # One column of int16 (DSP) or four blocks of int8 (Helium).
        return shapes[1][1] * shapes[1][2] * max(2 * channels, 4 * _DEPTHWISE_BLOCK)
    if operator.name == "AVERAGE_POOL_2D":
        # An int32 sum for each channel (DSP).
        return 4 * channels
    return _reference_scratch(graph, operator)
