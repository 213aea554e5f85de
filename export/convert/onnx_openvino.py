"""Write ONNX and OpenVINO files with Keras' own exporters, if their packages are installed.

python -m export.convert.onnx_openvino SCRATCH FORMAT=FILE ... --failures FILE.json
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from etils import epy

from export.convert import conversion
from zoo import cli
from zoo.util import backend

with epy.lazy_imports():
    import keras
    import onnx
    import openvino

FORMATS = ("onnx", "openvino")


def convert(model: keras.Model, kind: str, file: Path) -> None:
    """Write the network: ``image`` uint8 [N, H, W, C] in, ``logits`` float32 [N, classes] out.

    Args:
        model: inference model, raw pixels to logits.
        kind: one of ``FORMATS``.
        file: an ``.onnx`` file, or an ``.xml`` file; its ``.bin`` is written to the same folder.
    """
    spec = keras.InputSpec(dtype="uint8", shape=(None, *model.input_shape[1:]), name="image")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converters use deprecated NumPy names
        model.export(str(file), format=kind, verbose=False, input_signature=[spec])
    # The converters name the output after TensorFlow's tensor.
    name_output = {"onnx": _name_onnx_output, "openvino": _name_openvino_output}[kind]
    name_output(file)


def _name_openvino_output(file: Path) -> None:
    core = openvino.Core()
    core.set_property({"ENABLE_MMAP": False})  # the file that is read is replaced
    network = core.read_model(str(file))
    network.input(0).get_tensor().set_names({"image"})
    network.output(0).get_tensor().set_names({"logits"})
    openvino.save_model(network, str(file), compress_to_fp16=False)


def _name_onnx_output(file: Path) -> None:
    network = onnx.load(str(file))
    (output,) = network.graph.output
    (last,) = (node for node in network.graph.node if output.name in node.output)
    last.output[list(last.output).index(output.name)] = "logits"
    output.name = "logits"
    onnx.checker.check_model(network)
    onnx.save(network, str(file))


def main(argv: Sequence[str]) -> None:
    """Convert a Keras file to ONNX or OpenVINO files."""
    parser = cli.Parser(
        "export.convert.onnx_openvino", "Convert a Keras file to ONNX or OpenVINO.", imports=True
    )
    conversion.add_arguments(parser, FORMATS)
    arguments = parser.parse_args(argv)
    backend.start_tensorflow()
    file = arguments.scratch / conversion.KERAS
    conversion.convert_each(
        arguments, lambda kind, target: convert(keras.saving.load_model(file), kind, target)
    )


if __name__ == "__main__":
    cli.run("export.convert.onnx_openvino", main)
