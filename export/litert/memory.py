"""Compute the memory of a network's buffers, which share it if their lifetimes are disjoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from export.litert.flatbuffer import Graph

ALIGNMENT = 16  # bytes, of every buffer in the arena of TensorFlow Lite Micro


@dataclass(frozen=True)
class Buffer:
    """A memory buffer with its lifetime.

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
        """Size in the arena, in bytes."""
        return aligned(self.size)


def aligned(size: int) -> int:
    """Round a size in bytes up to a multiple of ``ALIGNMENT``."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def activations(graph: Graph) -> list[Buffer]:
    """Return the buffers of all tensors that are not constants, in the order of the file.

    A tensor is needed from the operator that writes it to the last one that reads it, the
    network's input from the start, and its output until the end.
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
    """Return the bytes of memory that a greedy plan needs for all buffers.

    Buffers are placed from the largest to the smallest, each at the lowest offset that is free
    during its lifetime. Among buffers of equal size the later is placed first, as in TensorFlow
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
    """Return the peak memory of the activations of a LiteRT file, in bytes."""
    return planned_bytes(activations(graph))
