"""The formats a network is exported to, and the bound within which each must stay.

No format here starts a library: what one needs is looked up, not imported.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import InputError, unknown


@dataclass(frozen=True, kw_only=True)
class Format:
    """One format.

    Attributes:
        name: its name on the command line and in the manifest.
        file: its place in the bundle, ``{model}`` standing for the network's name.
        says: what it is for, in a few words.
        call: how the model card shows its use: Markdown in which ``{file}``, ``{name}``,
            ``{height}``, ``{width}``, ``{channels}`` and ``{batch}`` have their values.
        converter: the module that writes it, run by ``export.convert.conversion``; empty if the
            export itself writes it.
        made_from: name of the format whose file it is made from.
        companions: what belongs to it beside ``file``, as patterns of paths in the bundle.
        loss: largest loss of accuracy in points (hundredths); None if the file must agree with
            Keras on the class of every image, its logits within 1e-4 of their range.
        flips: most images of another class than Keras gives, in points; those that become right
            count too.
        spare: images it may lose, and that may flip, on a split of at least a hundred times as
            many.
        packages: what it needs beyond the project's own dependencies.
        extra: name of the optional dependencies that bring them.
        usual: whether it is exported unless the formats are named.
    """

    name: str
    file: str
    says: str
    call: str
    converter: str = ""
    made_from: str = ""
    companions: tuple[str, ...] = ()
    loss: float | None = None
    flips: float = 0.0
    spare: int = 0
    packages: tuple[str, ...] = ()
    extra: str = ""
    usual: bool = True

    def path(self, model: str) -> str:
        """Return the file's path within the bundle of a network of this name."""
        return self.file.format(model=model)

    def paths(self, bundle: Path, model: str) -> list[Path]:
        """Return all files that it consists of, in the folder of a bundle."""
        patterns = (self.path(model), *(each.format(model=model) for each in self.companions))
        return [path for pattern in patterns for path in sorted(bundle.glob(pattern))]

    @property
    def is_litert(self) -> bool:
        """Whether it is a LiteRT file."""
        return self.file.endswith(".tflite")

    def missing(self) -> list[str]:
        """Return the packages it needs that are not installed."""
        return [name for name in self.packages if importlib.util.find_spec(name) is None]

    def allowed_losses(self, count: int) -> int:
        """Return how many of ``count`` images it may lose; 0 where every image must agree."""
        return 0 if self.loss is None else self._images(self.loss, count)

    def allowed_flips(self, count: int) -> int:
        """Return how many of ``count`` images may have another class than Keras gives."""
        return 0 if self.loss is None else self._images(max(self.flips, self.loss), count)

    def _images(self, points: float, count: int) -> int:
        # Points and images are both decimal: the rounding keeps 0.1 of 10,000 at ten.
        return max(min(self.spare, count // 100), int(round(points * count / 100, 6)))


_CALL_SAVED_MODEL = """\
Python, with TensorFlow:

    import tensorflow as tf
    network = tf.saved_model.load(".").signatures
    # uint8 [N, {height}, {width}, {channels}] in; logits, probabilities, class_id and label out
    network["serving_default"](image=images)

TensorFlow Serving, watching the folder above this one as model `{name}`; a file as it is (the
signature `serve_bytes`) or pixels (`serving_default`):

    curl http://localhost:8501/v1/models/{name}:predict -d '{{"signature_name": "serve_bytes",
      "inputs": {{"image_bytes": [{{"b64": "'$(base64 -w0 picture.png)'"}}]}}}}'
"""

_CALL_LITERT = """\
Python, with `pip install ai-edge-litert numpy`:

    from ai_edge_litert.interpreter import Interpreter
    network = Interpreter(model_path="{file}").get_signature_runner()
    network(image=images[:{batch}])["logits"]

C++, with LiteRT's interpreter:

    auto model = tflite::FlatBufferModel::BuildFromFile("{file}");
    tflite::ops::builtin::BuiltinOpResolver resolver;
    std::unique_ptr<tflite::Interpreter> interpreter;
    tflite::InterpreterBuilder(*model, resolver)(&interpreter);
    interpreter->AllocateTensors();
    TfLiteTensor* input = interpreter->input_tensor(0);
    std::memcpy(input->data.raw, pixels, input->bytes);
    interpreter->Invoke();  // then interpreter->output_tensor(0)
"""

_CALL_MICROCONTROLLER = """\
A microcontroller, with TensorFlow Lite Micro: `{folder}/` is a library for CMake, ESP-IDF, Arduino
and PlatformIO, with a self-test; its README says how to add it to a project.

    #include "{namespace}.h"
    if (const char* fault = {namespace}::Setup()) return fault;
    int label = {namespace}::Classify(pixels);

The model takes {model_bytes:,} bytes of flash, the program's code about {code_bytes:,} more. The
tensor arena takes {arena_bytes[reference]:,} bytes of RAM with the reference kernels, and
{arena_bytes[cmsis_nn]:,} with CMSIS-NN. One image needs {multiply_adds:,} multiply-adds.

The zoo's networks were tested with {tested_with}.
"""

_CALL_ONNX = """\
Python, with `pip install onnxruntime`:

    import onnxruntime
    onnxruntime.InferenceSession("{file}").run(["logits"], {{"image": images}})
"""

_CALL_OPENVINO = """\
Python, with `pip install openvino`; without the hint some processors compute in bfloat16:

    import openvino
    hint = {{"INFERENCE_PRECISION_HINT": "f32"}}
    openvino.Core().compile_model("{file}", "CPU", hint)(images)
"""

FORMATS = {
    each.name: each
    for each in (
        Format(
            name="saved_model",
            file="saved_model.pb",
            companions=("variables/*",),
            says="servers: TensorFlow Serving",
            call=_CALL_SAVED_MODEL,
        ),
        Format(
            name="float32",
            file="tflite/{model}-float32.tflite",
            says="LiteRT, as trained",
            converter="export.convert.tflite",
            call=_CALL_LITERT,
        ),
        Format(
            name="float16",
            file="tflite/{model}-float16.tflite",
            says="LiteRT, half the size: weights in float16",
            converter="export.convert.tflite",
            call=_CALL_LITERT,
            loss=0.05,
            flips=0.2,
            spare=1,
        ),
        Format(
            name="dynamic",
            file="tflite/{model}-dynamic.tflite",
            says="LiteRT, a quarter of the size: int8 weights, float in and out",
            converter="export.convert.tflite",
            call=_CALL_LITERT,
            loss=0.05,
            flips=1.0,
            spare=1,
        ),
        Format(
            name="int8",
            file="tflite/{model}-int8.tflite",
            says="LiteRT, integers alone: uint8 pixels in, int8 logits out",
            converter="export.convert.tflite",
            call=_CALL_LITERT,
            loss=0.1,
            flips=2.0,
            spare=2,
        ),
        Format(
            name="int16x8",
            file="tflite/{model}-int16x8.tflite",
            says="LiteRT, int16 activations and int8 weights",
            converter="export.convert.tflite",
            call=_CALL_LITERT,
            loss=0.05,
            flips=1.0,
            spare=1,
            usual=False,
        ),
        Format(
            name="microcontroller",
            file="microcontroller/src/model_data.cpp",
            says="the int8 file as a C++ library for TensorFlow Lite Micro",
            made_from="int8",
            call=_CALL_MICROCONTROLLER,
        ),
        Format(
            name="onnx",
            file="onnx/{model}.onnx",
            says="ONNX Runtime and others",
            converter="export.convert.onnx_openvino",
            call=_CALL_ONNX,
            packages=("tf2onnx", "onnx", "onnxruntime"),
            extra="onnx",
            usual=False,
        ),
        Format(
            name="openvino",
            file="openvino/{model}.xml",
            companions=("openvino/{model}.bin",),
            says="OpenVINO",
            converter="export.convert.onnx_openvino",
            call=_CALL_OPENVINO,
            packages=("openvino", "scipy"),
            extra="openvino",
            usual=False,
        ),
    )
}

LITERT = tuple(each.name for each in FORMATS.values() if each.is_litert)
"""Names of the formats that are LiteRT files."""


def choose(text: str | None) -> list[Format]:
    """Return the formats that a comma-separated list names, in the order of ``FORMATS``.

    ``all`` is every format whose packages are installed; None the usual ones. The SavedModel
    is always among them, and ``microcontroller`` brings the int8 file that it is made from.

    Raises:
        InputError: an unknown format, or one whose packages are not installed.
    """
    if text is None:
        return [each for each in FORMATS.values() if each.usual]
    if text == "all":
        return [each for each in FORMATS.values() if not each.missing()]
    names = {"saved_model", *text.split(",")}
    for name in sorted(names):
        if name not in FORMATS:
            raise unknown("format", name, FORMATS, told=f"all, or some of {', '.join(FORMATS)}")
        if missing := FORMATS[name].missing():
            raise InputError(
                f"format {name} needs {', '.join(missing)}, which is not installed: "
                f"pip install 'ltfn-zoo[{FORMATS[name].extra}]'"
            )
    names |= {FORMATS[name].made_from for name in names if FORMATS[name].made_from}
    return [each for each in FORMATS.values() if each.name in names]


def named(text: str | None) -> frozenset[str]:
    """Return the formats that a list for ``choose`` names, which must not be left out."""
    names = [] if text in (None, "all") else str(text).split(",")
    return frozenset({"saved_model", *names})


def loosened(formats: Iterable[Format]) -> list[str]:
    """Return the names of the formats whose bound is looser than their own."""
    return [each.name for each in formats if (each.loss or 0) > (FORMATS[each.name].loss or 0)]


def bounded(
    formats: Iterable[Format], losses: Mapping[str, float], *, allow_drop: bool
) -> list[Format]:
    """Return the formats with other bounds, in points of accuracy.

    A bound may only be made stricter, unless ``allow_drop`` says that more loss is accepted. A
    bound given leaves no spare image.

    Raises:
        InputError: a format that is not exported, has no such bound, or a looser bound.
    """
    formats = list(formats)
    names = [each.name for each in formats if each.loss is not None]
    for name, loss in losses.items():
        if name not in names:
            raise unknown("format with a bound", name, names)
        usual = FORMATS[name].loss
        assert usual is not None
        if loss > usual and not allow_drop:
            raise InputError(
                f"--bound {name}={loss:g} is looser than the format's own {usual:g} points; "
                "give --allow-drop to accept such a loss, which the model card then states"
            )
    return [
        dataclasses.replace(each, loss=losses[each.name], spare=0) if each.name in losses else each
        for each in formats
    ]
