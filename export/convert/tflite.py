"""Write LiteRT (TFLite) files: built-in operations only, fixed batch, pixels in, one signature.

========== ================================= ============================ ==================
format     image                             logits                       weights
========== ================================= ============================ ==================
float32    float32, 0..255                   float32                      float32
float16    float32, 0..255                   float32                      float16
dynamic    float32, 0..255                   float32                      int8
int8       uint8, 0..255                     int8, with its scale         int8, per channel
int16x8    int16, pixels times 32,767 / 255  int16, with its scale        int8, per channel
========== ================================= ============================ ==================

The int8 file's input has scale 1 and zero point 0, so pixels need no conversion. The int16x8
file's convolutions accumulate in 32 bits where that is safe (``export.litert.accumulators``).

The converter is ``tf.lite``, whose removal from TensorFlow is announced; no other module uses it.
The conversions run in a subprocess, because the converter does not release its memory:

    python -m export.convert.tflite SCRATCH FORMAT=FILE ... --failures FILE.json
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from etils import epy

from export.convert import conversion
from export.formats import LITERT
from export.litert import accumulators, flatbuffer
from zoo import cli
from zoo.bundles import runtimes
from zoo.errors import ZooError
from zoo.util import backend

with epy.lazy_imports():
    import tensorflow as tf

INTEGER = ("int8", "int16x8")
"""The formats with integer activations, which require calibration images."""


def convert(saved_model: Path, kind: str, calibration: np.ndarray | None = None) -> bytes:
    """Convert a SavedModel and return the bytes of the LiteRT file.

    Args:
        saved_model: folder that ``export.convert.saved_model.save_fixed`` wrote.
        kind: one of ``LITERT``.
        calibration: uint8 [N, H, W, C], the representative dataset of an integer format;
            images beyond the last whole batch are not used.

    Raises:
        ConverterError: the converter does not support an operation for this format.
        ZooError: the written file computes shapes, contains operations that are not built in, or
            takes other images than the table above says.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(saved_model), signature_keys=["serving_default"]
    )
    sets = tf.lite.OpsSet
    converter.target_spec.supported_ops = [sets.TFLITE_BUILTINS]
    if kind != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if kind in INTEGER:
        assert calibration is not None
        converter.representative_dataset = _representative_dataset(saved_model, calibration)
    if kind == "int8":
        converter.target_spec.supported_ops = [sets.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
        converter.inference_output_type = tf.int8
    if kind == "int16x8":
        converter.target_spec.supported_ops = [
            sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        ]
        converter.inference_input_type = tf.int16
        converter.inference_output_type = tf.int16
    content = converter.convert()
    if kind == "int16x8":
        content = accumulators.narrowed(content)
    _check_operators(content)
    if kind in INTEGER:
        runtimes.open_litert(content)  # which checks the scale of the pixels
    return content


def _representative_dataset(
    saved_model: Path, calibration: np.ndarray
) -> Callable[[], Iterator[list[np.ndarray]]]:
    # The converter scales the input so that the brightest pixel has the largest value. So one pixel
    # must be 255, also among dark images, for a program to write its pixels unchanged.
    calibration = calibration.copy()
    calibration.reshape(-1)[calibration[:1].argmax()] = 255
    signature = tf.saved_model.load(str(saved_model)).signatures["serving_default"]
    batch = signature.structured_input_signature[1]["image"].shape[0]

    def representative_dataset() -> Iterator[list[np.ndarray]]:
        last = len(calibration) - batch
        for at in [*range(0, last, batch), last]:
            yield [calibration[at : at + batch].astype(np.float32)]

    return representative_dataset


def _check_operators(content: bytes) -> None:
    names = [operator.name for operator in flatbuffer.read(content).operators]
    if flex := sorted({name for name in names if name.startswith("Flex") or not name.isupper()}):
        raise ZooError(f"the file requires operations that are not built in: {', '.join(flex)}")
    if "SHAPE" in names:
        raise ZooError("the file computes shapes, although its batch size is fixed")


def main(argv: Sequence[str]) -> None:
    """Convert one SavedModel to its files."""
    parser = cli.Parser(
        "export.convert.tflite", "Convert a fixed-batch SavedModel to LiteRT files.", imports=True
    )
    conversion.add_arguments(parser, LITERT)
    arguments = parser.parse_args(argv)
    backend.start_tensorflow()
    fixed = arguments.scratch / conversion.FIXED
    calibration = np.load(arguments.scratch / conversion.CALIBRATION)
    conversion.convert_each(
        arguments, lambda kind, file: file.write_bytes(convert(fixed, kind, calibration))
    )


if __name__ == "__main__":
    cli.run("export.convert.tflite", main)
