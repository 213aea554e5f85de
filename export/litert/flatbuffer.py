"""Read and write LiteRT files as flatbuffers of operators and tensors, without TensorFlow."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from etils import epy

with epy.lazy_imports():
    from ai_edge_litert import schema_py_generated as schema

_FILE_IDENTIFIER = b"TFL3"
_ALIGNMENT = 16  # bytes, required for every buffer by the schema's force_align


@dataclass(frozen=True)
class Tensor:
    """One tensor of a LiteRT file.

    Attributes:
        name: name given by the converter.
        shape: size of each dimension.
        dtype: dtype of the elements.
        constant: whether the file contains its values.
        scale_count: number of quantization scales: 0, 1, or one per channel.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    constant: bool
    scale_count: int

    @property
    def size(self) -> int:
        """Size of the values in bytes."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


@dataclass(frozen=True)
class Operator:
    """One operation; ``inputs`` and ``outputs`` are indices into ``Graph.tensors``."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Graph:
    """The network of a LiteRT file, with its operators in execution order."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read(content: bytes) -> Graph:
    """Parse a LiteRT file with one subgraph."""
    model = unpacked(content)
    subgraph = model.subgraphs[0]
    return Graph(
        tensors=tuple(_tensor(each, model.buffers) for each in subgraph.tensors),
        operators=tuple(
            Operator(
                _operator_name(model.operatorCodes[each.opcodeIndex]),
                # -1 marks an omitted operand.
                tuple(int(at) for at in each.inputs if at >= 0),
                tuple(int(at) for at in each.outputs),
            )
            for each in subgraph.operators
        ),
        inputs=tuple(map(int, subgraph.inputs)),
        outputs=tuple(map(int, subgraph.outputs)),
    )


def unpacked(content: bytes) -> schema.ModelT:
    """Return a LiteRT file as mutable objects."""
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))


def packed(model: schema.ModelT) -> bytes:
    """Serialize the objects of ``unpacked`` to a LiteRT file with aligned buffers.

    The converter aligns weights to only four bytes; processors without unaligned access, and
    int64 biases, need the sixteen bytes of the schema.
    """
    builder = _AlignedBuilder(1024)
    builder.Finish(model.Pack(builder), file_identifier=_FILE_IDENTIFIER)
    return bytes(builder.Output())


def with_metadata(content: bytes, name: str, metadata: bytes) -> bytes:
    """Return the file with a named metadata buffer added."""
    model = unpacked(content)
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(metadata, np.uint8)
    entry = schema.MetadataT()
    entry.name, entry.buffer = name, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    return packed(model)


class _AlignedBuilder(flatbuffers.Builder):
    def CreateNumpyVector(self, x: np.ndarray) -> Any:  # noqa: N802 - flatbuffers' name
        # Only buffers are vectors of uint8; other vectors keep the alignment of their elements.
        alignment = _ALIGNMENT if x.dtype == np.uint8 else x.dtype.alignment
        self.StartVector(x.itemsize, x.size, alignment)
        content = x.astype(x.dtype.newbyteorder("<")).tobytes()
        begin = self.Head() - len(content)
        self.Bytes[begin : begin + len(content)] = content
        self.head: int = begin
        return self.EndVector()


def _tensor(tensor: Any, buffers: Any) -> Tensor:
    quantization = tensor.quantization
    scale = None if quantization is None else quantization.scale
    data = buffers[tensor.buffer].data
    return Tensor(
        name=tensor.name.decode(),
        shape=tuple(int(size) for size in (() if tensor.shape is None else tensor.shape)),
        dtype=_dtypes()[tensor.type],
        constant=data is not None and len(data) > 0,
        scale_count=0 if scale is None else len(scale),
    )


@functools.cache
def _operators() -> dict[int, str]:
    """Return a map from the code of each built-in operation to its name."""
    return {code: name for name, code in vars(schema.BuiltinOperator).items() if name.isupper()}


@functools.cache
def _dtypes() -> dict[int, np.dtype[Any]]:
    """Return a map from tensor type codes to dtypes, for the types that NumPy has."""
    names = {code: name.lower() for name, code in vars(schema.TensorType).items() if name.isupper()}
    return {code: np.dtype(name) for code, name in names.items() if hasattr(np, name)}


def builtin(code: schema.OperatorCodeT) -> int:
    """Return the number of the built-in operation of an operator code."""
    # Old files store it in a byte field, new ones in an int32 field; the larger value is valid.
    return max(code.builtinCode, code.deprecatedBuiltinCode)


def _operator_name(code: schema.OperatorCodeT) -> str:
    number = builtin(code)
    if number == schema.BuiltinOperator.CUSTOM:
        return code.customCode.decode()
    return _operators()[number]
