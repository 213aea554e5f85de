"""How much memory a LiteRT file's activations need: tensors share it when their lifetimes allow."""

from __future__ import annotations

from export.flatbuffer import Graph

_ALIGNMENT = 16


def activation_bytes(graph: Graph) -> int:
    """Return the bytes of the smallest arena that the greedy plan finds for all activations.

    A tensor lives from the operation that writes it to the last one that reads it, the network's
    input from the beginning and its output to the end. The largest is placed first, each at the
    lowest offset where none that lives at the same time lies; TensorFlow Lite Micro plans so too.
    """
    end = len(graph.operators)
    first = dict.fromkeys(graph.inputs, 0)
    last = dict.fromkeys((*graph.inputs, *graph.outputs), end)
    last.update(dict.fromkeys(graph.inputs, 0))
    for step, operator in enumerate(graph.operators):
        for at in operator.outputs:
            first.setdefault(at, step)
            last[at] = max(last.get(at, 0), step)
        for at in operator.inputs:
            if at in first:
                last[at] = max(last[at], step)

    sizes = {at: -(-graph.tensors[at].size // _ALIGNMENT) * _ALIGNMENT for at in first}
    placed: dict[int, int] = {}
    for at in sorted(first, key=lambda at: (-sizes[at], at)):
        neighbours = sorted(
            (placed[other], placed[other] + sizes[other])
            for other in placed
            if first[other] <= last[at] and first[at] <= last[other]
        )
        offset = 0
        for begin, finish in neighbours:
            if begin - offset >= sizes[at]:
                break
            offset = max(offset, finish)
        placed[at] = offset
    return max(placed[at] + sizes[at] for at in placed)
