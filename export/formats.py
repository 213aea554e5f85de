"""The formats a network is exported to, and the bound within which each must stay.

No format here starts a library: what one needs is looked up, not imported.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from zoo.errors import InputError, unknown


@dataclass(frozen=True, kw_only=True)
class Format:
    """One format.

    Attributes:
        name: its name on the command line and in the manifest.
        file: its place in the bundle, ``{model}`` standing for the network's name.
        says: what it is for, in a few words.
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
    loss: float | None = None
    flips: float = 0.0
    spare: int = 0
    packages: tuple[str, ...] = ()
    extra: str = ""
    usual: bool = True

    def path(self, model: str) -> str:
        """Return the file's path within the bundle of a network of this name."""
        return self.file.format(model=model)

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


FORMATS = {
    each.name: each
    for each in (
        Format(name="saved_model", file="saved_model.pb", says="servers: TensorFlow Serving"),
        Format(name="float32", file="tflite/{model}-float32.tflite", says="LiteRT, as trained"),
        Format(
            name="float16",
            file="tflite/{model}-float16.tflite",
            says="LiteRT, half the size: weights in float16",
            loss=0.05,
            flips=0.2,
            spare=1,
        ),
        Format(
            name="dynamic",
            file="tflite/{model}-dynamic.tflite",
            says="LiteRT, a quarter of the size: int8 weights, float in and out",
            loss=0.05,
            flips=1.0,
            spare=1,
        ),
        Format(
            name="int8",
            file="tflite/{model}-int8.tflite",
            says="LiteRT, integers alone: uint8 pixels in, int8 logits out",
            loss=0.1,
            flips=2.0,
            spare=2,
        ),
        Format(
            name="int16x8",
            file="tflite/{model}-int16x8.tflite",
            says="LiteRT, int16 activations and int8 weights",
            loss=0.05,
            flips=1.0,
            spare=1,
            usual=False,
        ),
        Format(
            name="microcontroller",
            file="microcontroller/src/model_data.cpp",
            says="the int8 file as a C++ library for TensorFlow Lite Micro",
        ),
        Format(
            name="onnx",
            file="onnx/{model}.onnx",
            says="ONNX Runtime and others",
            packages=("tf2onnx", "onnx", "onnxruntime"),
            extra="onnx",
            usual=False,
        ),
        Format(
            name="openvino",
            file="openvino/{model}.xml",
            says="OpenVINO",
            packages=("openvino", "scipy"),
            extra="openvino",
            usual=False,
        ),
    )
}

LITERT = ("float32", "float16", "dynamic", "int8", "int16x8")
"""The formats that are LiteRT files."""


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
    if "microcontroller" in names:
        names.add("int8")
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
