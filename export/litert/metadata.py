"""The TFLite metadata of a file: what its tensors mean, and the names of its classes.

Android's and iOS' libraries read it. Its schema is metadata_schema.fbs of TFLite Support; the
numbers of its fields are repeated here, since the package with the code generated from it is no
longer kept.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import Any

import flatbuffers

from export.litert import flatbuffer

NAME = "TFLITE_METADATA"
LABELS = "labels.txt"
_FILE_IDENTIFIER = b"M001"
_RGB, _GRAYSCALE = 1, 2
_IMAGE_PROPERTIES = 2
_NORMALIZATION_OPTIONS = 1
_TENSOR_AXIS_LABELS = 2


def add(
    content: bytes, *, name: str, description: str, labels: Sequence[str], channels: int
) -> bytes:
    """Return a LiteRT file with its metadata, and its labels as an attached file.

    Args:
        content: a file with one image input and one output of logits.
        name: of the network.
        description: what it is, in a sentence.
        labels: names of the classes, in the order of the logits.
        channels: of the image: one is grey, three are RGB.
    """
    metadata = _metadata(name, description, channels)
    attached = io.BytesIO()
    with zipfile.ZipFile(attached, "w") as archive:
        # A fixed date: the same network makes the same bytes.
        archive.writestr(zipfile.ZipInfo(LABELS), "".join(f"{label}\n" for label in labels))
    return flatbuffer.with_metadata(content, NAME, metadata) + attached.getvalue()


def _metadata(name: str, description: str, channels: int) -> bytes:
    builder = flatbuffers.Builder(1024)
    normalization = _table(builder, 2, {0: _floats(builder, [0.0]), 1: _floats(builder, [1.0])})
    unit = _table(builder, 2, {1: normalization}, {0: _NORMALIZATION_OPTIONS})
    properties = _table(builder, 2, {}, {0: _RGB if channels == 3 else _GRAYSCALE})
    image = _table(
        builder,
        7,
        {
            0: builder.CreateString("image"),
            1: builder.CreateString("Pixels of 0..255, as they are; their scaling is inside."),
            3: _table(builder, 3, {1: properties}, {0: _IMAGE_PROPERTIES}),
            4: _vector(builder, [unit]),
            5: _table(builder, 2, {0: _floats(builder, [255.0]), 1: _floats(builder, [0.0])}),
        },
    )
    labels = _table(
        builder,
        5,
        {0: builder.CreateString(LABELS), 1: builder.CreateString("A class on each line.")},
        {2: _TENSOR_AXIS_LABELS},
    )
    logits = _table(
        builder,
        7,
        {
            0: builder.CreateString("logits"),
            1: builder.CreateString("One for each class; the largest is the answer."),
            6: _vector(builder, [labels]),
        },
    )
    subgraph = _table(builder, 10, {2: _vector(builder, [image]), 3: _vector(builder, [logits])})
    model = _table(
        builder,
        8,
        {
            0: builder.CreateString(name),
            1: builder.CreateString(description),
            3: _vector(builder, [subgraph]),
        },
    )
    builder.Finish(model, file_identifier=_FILE_IDENTIFIER)
    return bytes(builder.Output())


def _table(
    builder: Any, fields: int, offsets: dict[int, int], numbers: dict[int, int] | None = None
) -> int:
    """Write a table of ``fields`` fields: offsets of what is written already, and small numbers."""
    builder.StartObject(fields)
    for field, offset in offsets.items():
        builder.PrependUOffsetTRelativeSlot(field, offset, 0)
    for field, number in (numbers or {}).items():
        builder.PrependUint8Slot(field, number, 0)
    return builder.EndObject()


def _vector(builder: Any, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()


def _floats(builder: Any, values: Sequence[float]) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependFloat32(value)
    return builder.EndVector()
