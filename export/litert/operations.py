"""Describe how a LiteRT file computes its outputs, so that one value can be computed by hand."""

from __future__ import annotations

from typing import Any

from etils import epy

from export.litert import flatbuffer

with epy.lazy_imports():
    from ai_edge_litert import schema_py_generated as schema

IMAGE = "image"
"""Name of the input."""


def operations(content: bytes) -> dict[str, dict[str, Any]]:
    """Return how each output is computed, by its name in the signature.

    Args:
        content: a LiteRT file with one signature, whose input is ``image``.

    Returns:
        For each output that is a convolution in float32 or a pooling, of the image or of another
        output:

        ``kind``
            ``conv``, ``depthwise``, ``max`` or ``average``.
        ``reads``
            the name of the other output, or ``image``.
        ``window``, ``stride``
            each height and width.
        ``before``
            rows above and columns left of the input in the first window (``same`` padding).
        ``relu``
            whether negative results become zero.
        ``kernel``, ``bias``
            of a convolution: ``shape``, and ``offset``, the position in the file of its float32
            values; None for a pooling. A kernel is [filters, height, width, channels], that of a
            depthwise convolution [1, height, width, filters].
    """
    model = flatbuffer.unpacked(content)
    graph, signature = model.subgraphs[0], model.signatureDefs[0]
    names = {int(each.tensorIndex): each.name.decode() for each in signature.outputs}
    names |= {int(each.tensorIndex): IMAGE for each in signature.inputs}
    found = {}
    for operator in graph.operators:
        kind = _kind(model, operator)
        read, output = int(operator.inputs[0]), int(operator.outputs[0])
        if kind is None or output not in names or read not in names:
            continue
        options = operator.builtinOptions
        constants = [graph.tensors[at] for at in operator.inputs[1:]]
        if not all(_is_float32(model, each) for each in constants):
            continue  # its products are not those of float32 values
        weights = [_weights(content, model, each) for each in constants]
        kernel, bias = weights or (None, None)
        window = kernel["shape"][1:3] if kernel else [options.filterHeight, options.filterWidth]
        depth = graph.tensors[read].shape[3]
        if kind == "conv" and kernel and kernel["shape"][3] != depth:
            continue  # each filter of a grouped convolution reads a part of the channels
        stride = [options.strideH, options.strideW]
        is_same = options.padding == schema.Padding.SAME
        lengths = graph.tensors[read].shape[1:3].tolist()
        found[names[output]] = {
            "kind": kind,
            "reads": names[read],
            "window": window,
            "stride": stride,
            "before": list(map(_before, lengths, window, stride)) if is_same else [0, 0],
            "relu": options.fusedActivationFunction == schema.ActivationFunctionType.RELU,
            "kernel": kernel,
            "bias": bias,
        }
    return found


def _kind(model: schema.ModelT, operator: schema.OperatorT) -> str | None:
    """Return the kind of an operation, None if it is none of those described."""
    options, activation = operator.builtinOptions, schema.ActivationFunctionType
    kind = {
        schema.BuiltinOperator.CONV_2D: "conv",
        schema.BuiltinOperator.DEPTHWISE_CONV_2D: "depthwise",
        schema.BuiltinOperator.MAX_POOL_2D: "max",
        schema.BuiltinOperator.AVERAGE_POOL_2D: "average",
    }.get(flatbuffer.builtin(model.operatorCodes[operator.opcodeIndex]))
    if kind is None or options.fusedActivationFunction not in (activation.NONE, activation.RELU):
        return None
    is_dilated = getattr(options, "dilationHFactor", 1) * getattr(options, "dilationWFactor", 1) > 1
    is_multiplied = getattr(options, "depthMultiplier", 1) > 1
    return None if is_dilated or is_multiplied else kind


def _is_float32(model: schema.ModelT, tensor: schema.TensorT) -> bool:
    """Return whether a tensor is a constant of float32 values."""
    is_constant = model.buffers[tensor.buffer].data is not None
    return is_constant and tensor.type == schema.TensorType.FLOAT32


def _weights(content: bytes, model: schema.ModelT, tensor: schema.TensorT) -> dict[str, Any]:
    """Return the shape of a constant tensor, and the position of its values in the file."""
    values = bytes(model.buffers[tensor.buffer].data)
    return {"offset": content.index(values), "shape": tensor.shape.tolist()}


def _before(length: int, window: int, stride: int) -> int:
    """Return the padding before the first pixel that keeps a length, or divides it by the stride.

    If the padding is odd, the larger half comes after the last pixel.
    """
    needed = (-(-length // stride) - 1) * stride + window
    return max(0, needed - length) // 2
