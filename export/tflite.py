"""LiteRT (TFLite) files: built-in operations only, batch 1, pixels in.

The float32 file takes float pixels of 0..255; the int8 file takes uint8 pixels as they are, since
its input is quantized with scale 1 and zero point 0.

Each conversion runs in a process of its own, since the converter keeps its memory:

    python -m export.tflite SAVED_MODEL FORMAT FILE [--calibration IMAGES.npy]
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from etils import epy

from zoo import commands

with epy.lazy_imports():
    import tensorflow as tf

FORMATS = ("float32", "int8")


def convert(saved_model: Path, kind: str, calibration: np.ndarray | None = None) -> bytes:
    """Return a LiteRT file's bytes.

    Args:
        saved_model: folder that ``export.saved_model.save_fixed`` wrote.
        kind: one of ``FORMATS``.
        calibration: uint8 [N, H, W, C], the representative data set that ``int8`` needs.

    Raises:
        ConverterError: an operation is not a built-in one of this format.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(saved_model), signature_keys=["serving_default"]
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if kind == "int8":

        def representative_dataset() -> Iterator[list[np.ndarray]]:
            assert calibration is not None
            for image in calibration:
                yield [image[None].astype(np.float32)]

        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = representative_dataset
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
        converter.inference_output_type = tf.int8
    return converter.convert()


def main(argv: Sequence[str]) -> None:
    """Convert one SavedModel to one file."""
    parser = commands.Parser("export.tflite", "Convert a fixed-batch SavedModel to a LiteRT file.")
    parser.add_argument("saved_model", type=Path, metavar="SAVED_MODEL")
    parser.add_argument("kind", choices=FORMATS, metavar="FORMAT", help=", ".join(FORMATS))
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--calibration", type=Path, metavar="IMAGES.npy", help="for int8")
    arguments = parser.parse_args(argv)
    if (arguments.kind == "int8") != (arguments.calibration is not None):
        parser.error("--calibration goes with int8, and int8 needs it")
    commands.start_tensorflow()
    calibration = np.load(arguments.calibration) if arguments.calibration else None
    arguments.file.write_bytes(convert(arguments.saved_model, arguments.kind, calibration))


if __name__ == "__main__":
    commands.run("export.tflite", main)
