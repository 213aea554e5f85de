"""Convert a Keras classifier to its canonical form: a flat float32 network, pixels to logits.

A Keras file is converted to this form before its export:

- one input, float32 [N, H, W, C] of pixels 0..255, and one output, float32 logits [N, classes];
- no nested models: their operations are part of the graph;
- no layer without effect at inference, such as Dropout and RandomFlip;
- no state other than weights: an adapted Normalization becomes a Rescaling;
- no softmax at the end. One logit z for two classes becomes the logits [0, z].
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from etils import epy

from zoo.errors import first_line
from zoo.metrics import softmax

with epy.lazy_imports():
    import keras
    from keras import layers

# Layers that return their input at inference. RandomCrop and Resizing do not.
_TRAINING_ONLY = {
    "ActivityRegularization", "AlphaDropout", "AugMix", "CutMix", "Dropout", "GaussianDropout",
    "GaussianNoise", "Identity", "MixUp", "RandAugment", "RandomBrightness",
    "RandomColorDegeneration", "RandomColorJitter", "RandomContrast", "RandomElasticTransform",
    "RandomErasing", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHue",
    "RandomInvert", "RandomPerspective", "RandomPosterization", "RandomRotation",
    "RandomSaturation", "RandomSharpness", "RandomShear", "RandomTranslation", "RandomZoom",
    "Solarization", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D",
}  # fmt: skip

# Operations that change the shape of a tensor, but not its values or their order.
_SHAPE_ONLY = {"Flatten", "Reshape", "Squeeze"}

# Configuration of low-rank adaptation, which the copy has in its kernel.
_OF_LORA = ("lora_rank", "lora_alpha")

_FLOATS = ("float16", "bfloat16", "float32", "float64")


@dataclass(frozen=True)
class Canonical:
    """A network in canonical form.

    Attributes:
        model: float32 functional model, pixels [N, H, W, C] to logits [N, classes].
        ending: kind of the original's outputs: ``logits``, ``softmax`` or ``log_softmax``; for a
            single output of two classes ``logit`` or ``sigmoid``.
    """

    model: keras.Model
    ending: str

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """Convert outputs of the original to probabilities, float64 [N, classes]."""
        outputs = np.asarray(outputs, np.float64)
        if self.ending == "softmax":
            return outputs
        if self.ending == "sigmoid":
            return np.concatenate([1 - outputs, outputs], axis=1)
        if self.ending == "logit":
            outputs = np.concatenate([np.zeros_like(outputs), outputs], axis=1)
        return softmax(outputs)


def canonicalize(
    model: keras.Model,
    *,
    name: str,
    image_shape: tuple[int, int, int],
    scaling: Iterable[keras.Layer] = (),
) -> Canonical:
    """Return a copy of a classifier in canonical form.

    Args:
        model: functional or sequential, with one input and one output.
        name: name of the copy.
        image_shape: height, width and channels of the images. A model of one-channel images may
            omit the channel axis.
        scaling: layers that convert pixels 0..255 to the input of the model.

    Raises:
        ValueError: the network has no canonical form; the message gives the reason.
    """
    x = image = keras.Input(image_shape, name="image")
    for layer in scaling:
        x = layer(x)
    if len(model.inputs[0].shape) == 3:
        x = layers.Reshape(image_shape[:2], name="without_channels")(x)
    outputs = _Flattener().inlined(model, x)
    logits, ending = _logits(outputs)
    if logits.shape[-1] == 1:
        logits, ending = _two_logits(logits), {"logits": "logit"}.get(ending, ending)
    return Canonical(keras.Model(image, logits, name=name), ending)


class _Flattener:
    """Copies the operations of a model and its nested models into one graph.

    A copy has the configuration and weights of its original, a new name if its name is already
    taken, and computes in float32. A layer that is called twice is copied twice, so each copy has
    one input.
    """

    def __init__(self) -> None:
        self._names = {"image", "pixels", "without_channels"}

    def inlined(self, model: keras.Model, inputs: Any) -> Any:
        """Apply copies of a model's operations to symbolic inputs and return the outputs."""
        if not model.built or not getattr(model, "inputs", None):
            raise ValueError(
                f"{model.name!r} is a subclassed or unbuilt model, which has no graph of layers; "
                "build it with the functional API"
            )
        # A sequential model has no graph, so a functional one is built from its tensors.
        single = len(model.outputs) == 1
        graph = keras.Model(model.inputs, model.outputs[0] if single else model.outputs)
        # Only this private method visits the nodes in order without building a model of them.
        return graph._run_through_graph(inputs, operation_fn=self._copied)

    def _copied(self, operation: keras.Operation) -> Callable[..., Any]:
        """Return the function to call in place of an operation."""

        # The copy is for inference, so it ignores a layer's call with training=True.
        def call(*arguments: Any, training: bool | None = None, **options: Any) -> Any:
            if options.get("mask", 0) is None:
                del options["mask"]
            if not arguments and "inputs" in options:
                arguments = (options.pop("inputs"),)
            return self._called(operation, arguments, options)

        return call

    def _called(self, operation: keras.Operation, arguments: Any, options: Any) -> Any:
        kind = type(operation).__name__
        if isinstance(operation, keras.Model):
            return self.inlined(operation, arguments[0])
        if isinstance(operation, layers.Pipeline):
            result = arguments[0]
            for layer in operation.layers:
                result = self._called(layer, (result,), {})
            return result
        if kind in _TRAINING_ONLY and type(operation) is getattr(layers, kind, None):
            return arguments[0]
        if _is_linear(operation) or _is_float_cast(operation, arguments):
            return arguments[0]
        if isinstance(operation, layers.Normalization):
            return _as_rescaling(operation, self._free_name(operation))(arguments[0])
        try:
            copy = self._copy(operation)
            result = copy(*arguments, **options)
            if isinstance(copy, keras.Layer):
                copy.set_weights(_weights(operation))
        except Exception as error:
            raise ValueError(
                f"{_described(operation)} cannot be copied: {first_line(error)}"
            ) from error
        return result

    def _copy(self, operation: keras.Operation) -> keras.Operation:
        if getattr(operation, "quantization_mode", None):
            raise ValueError("it is quantized; export the model as it was before model.quantize")
        config = operation.get_config() | {"name": self._free_name(operation)}
        for name in _OF_LORA:
            config.pop(name, None)
        return type(operation).from_config(_in_float32(config))

    def _free_name(self, operation: keras.Operation) -> str:
        """Return a name that no operation of the graph has."""
        numbered = (f"{operation.name}_{number}" for number in itertools.count(1))
        names = itertools.chain([operation.name], numbered)
        name = next(each for each in names if each not in self._names)
        self._names.add(name)
        return name


def _weights(layer: keras.Layer) -> list[np.ndarray]:
    """Return the weights of a layer, with what LoRA adds to its kernel."""
    if not getattr(layer, "lora_enabled", False):
        return layer.get_weights()
    kept = [each for each in layer.weights if not each.name.startswith("lora_")]
    # The property adds the product of the LoRA matrices to the variable.
    values = [layer.kernel if each.name == "kernel" else each for each in kept]
    return [keras.ops.convert_to_numpy(value) for value in values]


def _described(operation: keras.Operation) -> str:
    return f"layer {operation.name!r} ({type(operation).__name__})"


def _is_linear(operation: keras.Operation) -> bool:
    activation = isinstance(operation, layers.Activation)
    return activation and operation.activation is keras.activations.linear


def _is_float_cast(operation: keras.Operation, arguments: Any) -> bool:
    """Return whether an operation casts floats to floats, which is redundant in float32."""
    cast = not isinstance(operation, keras.Layer) and type(operation).__name__ == "Cast"
    return cast and operation.dtype in _FLOATS and arguments[0].dtype in _FLOATS


def _in_float32(config: Any, key: str = "") -> Any:
    """Return a configuration in which a layer and its nested layers compute in float32."""
    if key == "dtype":
        name = config["config"].get("name", "") if isinstance(config, dict) else config
        return "float32" if str(name).removeprefix("mixed_") in _FLOATS else config
    if isinstance(config, dict):
        return {name: _in_float32(value, name) for name, value in config.items()}
    if isinstance(config, list | tuple):
        return type(config)(_in_float32(value) for value in config)
    return config


def _as_rescaling(layer: layers.Normalization, name: str) -> keras.Layer:
    """Return an equivalent Rescaling; a copy of a Normalization would lose its statistics."""
    mean, variance = (np.asarray(value, np.float64) for value in (layer.mean, layer.variance))
    deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
    scale, offset = (deviation, mean) if layer.invert else (1 / deviation, -mean / deviation)
    # Leading axes have length 1, unless each pixel has its own factor.
    while scale.ndim and scale.shape[0] == 1:
        scale, offset = scale[0], offset[0]
    return layers.Rescaling(scale.tolist(), offset=offset.tolist(), name=name)


def _logits(tensor: Any) -> tuple[Any, str]:
    """Return the logits before the final activation of a network, and the kind of its outputs.

    Raises:
        ValueError: the outputs are neither logits nor their softmax, log-softmax or sigmoid.
    """
    operation = tensor._keras_history.operation
    kind = type(operation).__name__
    before = operation.input if kind in _SHAPE_ONLY else None
    if before is not None:
        inner, ending = _logits(before)
        # Softmax is over the last axis, which must remain the class axis.
        if ending == "logits" or before.shape[-1] == tensor.shape[-1]:
            if inner is before:
                return tensor, ending
            return type(operation).from_config(operation.get_config())(inner), ending
        raise ValueError(f"{_described(operation)} moves the class axis after the {ending}")
    if kind in ("Softmax", "LogSoftmax", "Sigmoid") and not hasattr(operation, "activation"):
        ending = {"Softmax": "softmax", "LogSoftmax": "log_softmax", "Sigmoid": "sigmoid"}[kind]
        _check_ending(operation, ending, tensor, getattr(operation, "axis", -1))
        (logits, *_) = keras.tree.flatten(operation.input)
        return logits, ending
    activation = getattr(operation, "activation", keras.activations.linear)
    if activation is keras.activations.linear:
        return tensor, "logits"
    ending = getattr(activation, "__name__", type(activation).__name__.lower())
    _check_ending(operation, ending, tensor, getattr(activation, "axis", -1))
    if isinstance(operation, layers.Activation):
        return operation.input, ending
    operation.activation = keras.activations.linear
    return tensor, ending


def _check_ending(operation: keras.Operation, ending: str, tensor: Any, axis: Any) -> None:
    """Reject a final activation that cannot be removed.

    Raises:
        ValueError: it is unsupported, not over the classes, or a sigmoid of several classes.
    """
    found = f"{_described(operation)} ends the network with a {ending}"
    classes = tensor.shape[-1]
    if ending not in ("softmax", "log_softmax", "sigmoid"):
        raise ValueError(f"{found}; end it with logits, softmax, log_softmax or sigmoid")
    if ending == "sigmoid" and classes != 1:
        raise ValueError(
            f"{found} of {classes} classes: it is a multi-label network, which can predict several "
            "classes at once; only networks that predict one class are supported"
        )
    if ending != "sigmoid" and classes == 1:
        raise ValueError(f"{found} over one value, which is constant; use a sigmoid")
    if axis not in (-1, len(tensor.shape) - 1, (-1,), [-1]):
        raise ValueError(f"{found} over axis {axis}, which is not the class axis; use axis -1")


def _two_logits(logit: Any) -> Any:
    """Return the logits [0, z] of two classes, given the logit z of the second class."""
    operation = logit._keras_history.operation
    if type(operation) is layers.Dense:
        config = operation.get_config() | {"units": 2}
        weights = [
            np.pad(value, [(0, 0)] * (value.ndim - 1) + [(1, 0)])
            for value in operation.get_weights()
        ]
        inputs = operation.input
    else:
        config = {"units": 2, "use_bias": False, "name": "two_logits"}
        weights, inputs = [np.array([[0.0, 1.0]])], logit
    pair = layers.Dense.from_config(config)
    result = pair(inputs)
    pair.set_weights(weights)
    return result
