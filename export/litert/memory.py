"""How much memory the buffers of a network need: they share it when their lifetimes allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from export.litert.flatbuffer import Graph

ALIGNMENT = 16  # bytes; TensorFlow Lite Micro aligns every buffer of its arena so


@dataclass(frozen=True)
class Buffer:
    """A piece of memory that is needed for some time.

    Attributes:
        size: in bytes.
        first: position of the first operator that needs it.
        last: position of the last operator that needs it.
    """

    size: int
    first: int
    last: int

    @property
    def aligned_size(self) -> int:
        """Bytes that it takes in the arena."""
        return aligned(self.size)


def aligned(size: int) -> int:
    """Return the next multiple of the alignment, in bytes."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def activations(graph: Graph) -> list[Buffer]:
    """Return the tensors that are no constants, in the order of the file.

    A tensor is needed from the operator that writes it to the last one that reads it, the
    network's input from the beginning and its output to the end.
    """
    first = dict.fromkeys(graph.inputs, 0)
    last = dict.fromkeys(graph.inputs, 0)
    for step, operator in enumerate(graph.operators):
        for at in operator.outputs:
            first.setdefault(at, step)
            last[at] = step
        for at in operator.inputs:
            if at in first:
                last[at] = step
    last.update(dict.fromkeys(graph.outputs, len(graph.operators)))
    return [Buffer(graph.tensors[at].size, first[at], last[at]) for at in sorted(first)]


def planned_bytes(buffers: Sequence[Buffer]) -> int:
    """Return the size of the smallest memory that the greedy plan finds for all buffers.

    The largest buffer is placed first, each at the lowest offset that no buffer with an
    overlapping lifetime takes. Of equally large ones the later is placed first, as in TensorFlow
    Lite Micro (``micro/memory_planner/greedy_memory_planner.cc``).
    """
    placed: list[tuple[int, Buffer]] = []
    order = sorted(range(len(buffers)), key=lambda at: (-buffers[at].aligned_size, -at))
    for buffer in (buffers[at] for at in order):
        offset = 0
        for begin, other in sorted(placed, key=lambda each: each[0]):
            if other.last < buffer.first or buffer.last < other.first:
                continue
            if begin - offset >= buffer.aligned_size:
                break
            offset = max(offset, begin + other.aligned_size)
        placed.append((offset, buffer))
    return max(offset + buffer.aligned_size for offset, buffer in placed)


def activation_bytes(graph: Graph) -> int:
    """Return the bytes that the activations of a LiteRT file need at one time."""
    return planned_bytes(activations(graph))
