"""Add TFLite metadata to a LiteRT file: the meaning of its tensors and the class names.

The libraries for Android and iOS read the metadata. Its schema is metadata_schema.fbs of TFLite
Support; the field numbers are repeated here, since the package with the generated code is no
longer maintained.
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
"""File of the class names, one per line."""

_FILE_IDENTIFIER = b"M001"
_RGB, _GRAYSCALE = 1, 2
_IMAGE_PROPERTIES = 2
_NORMALIZATION_OPTIONS = 1
_TENSOR_AXIS_LABELS = 2


def add(
    content: bytes, *, name: str, description: str, labels: Sequence[str], channels: int
) -> bytes:
    """Return a LiteRT file with metadata, and with its labels as an attached file.

    Args:
        content: a LiteRT file with one image input and one output of logits.
        name: name of the network.
        description: description of the network, in one sentence.
        labels: names of the classes, in the order of the logits.
        channels: number of image channels: 1 for grayscale, 3 for RGB.
    """
    metadata = _metadata(name, description, channels)
    attached = io.BytesIO()
    with zipfile.ZipFile(attached, "w") as archive:
        # ZipInfo has a fixed date, so the same network always gives the same bytes.
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
            1: builder.CreateString("Pixels from 0 to 255; the network scales them itself."),
            3: _table(builder, 3, {1: properties}, {0: _IMAGE_PROPERTIES}),
            4: _vector(builder, [unit]),
            5: _table(builder, 2, {0: _floats(builder, [255.0]), 1: _floats(builder, [0.0])}),
        },
    )
    labels = _table(
        builder,
        5,
        {0: builder.CreateString(LABELS), 1: builder.CreateString("One class name per line.")},
        {2: _TENSOR_AXIS_LABELS},
    )
    logits = _table(
        builder,
        7,
        {
            0: builder.CreateString("logits"),
            1: builder.CreateString("One logit per class; the largest is the predicted class."),
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
    """Write a table of ``fields`` fields, from offsets of written objects and uint8 numbers."""
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
