"""The registry of built-in and user-supplied networks."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from etils import epy

from zoo.errors import InputError, one_line, unknown
from zoo.models import cost
from zoo.weights import released

with epy.lazy_imports():
    import keras
    from keras import layers

Build = Callable[..., "keras.Model"]

PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
"""Precision of the layers' arithmetic -> Keras dtype policy. Weights are always float32."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """The parameters of a network, and its work and memory for one image.

    Attributes:
        parameters: number of weights.
        multiply_adds: number of multiplications by a weight.
        largest_activation: bytes of the largest tensor between two layers, in float32.
    """

    parameters: int
    multiply_adds: int
    largest_activation: int


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """The facts of a network that are available before it is built.

    Attributes:
        name: name in the registry and on the command line.
        build: function of ``(input_shape, classes)`` that returns the Keras functional model.
        input_shape: default ``(height, width, channels)``.
        classes: default number of classes.
        smallest: minimum height and width of an image.
        origin: the paper, table or post that the network comes from; by default its module.
        batch_statistics: whether training normalizes by the mean and variance of the batch.
        costs: parameters, multiply-adds and largest activation; None if computed when needed.
    """

    name: str
    build: Build
    input_shape: tuple[int, int, int]
    classes: int
    smallest: int
    origin: str
    batch_statistics: bool
    costs: Costs | None

    @property
    def module(self) -> str:
        """The module that registers the network."""
        return self.build.__module__


_specs: dict[str, ModelSpec] = {}


def register_model(
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    smallest: int = 1,
    origin: str | None = None,
    batch_statistics: bool = False,
    **costs: int,
) -> Callable[[Build], Build]:
    """Register the decorated function under its name, with ``-`` for ``_``.

    The function takes ``(input_shape, classes)`` and returns a Keras functional model that maps raw
    pixels ``[N, height, width, channels]`` to float32 logits ``[N, classes]``.

    Args:
        input_shape: default ``(height, width, channels)``.
        classes: default number of classes.
        smallest: minimum height and width of an image.
        origin: the paper, table or post that the network comes from; by default its module.
        batch_statistics: whether the network has batch normalization.
        **costs: ``parameters``, ``multiply_adds`` and ``largest_activation``: all three or none;
            if not given, they are computed when needed.

    Raises:
        InputError: another module has registered this name.

    >>> @zoo.register_model(input_shape=(28, 28, 1), classes=10)
    ... def my_net(input_shape, classes):
    ...     image = keras.Input(input_shape)
    ...     x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))
    ...     return keras.Model(image, keras.layers.Dense(classes, dtype="float32")(x))
    >>> zoo.create_model("my-net").output_shape
    (None, 10)
    """

    def register(build: Build) -> Build:
        name = build.__name__.replace("_", "-")
        spec = ModelSpec(
            name=name,
            build=build,
            input_shape=input_shape,
            classes=classes,
            smallest=smallest,
            origin=origin or build.__module__,
            batch_statistics=batch_statistics,
            costs=Costs(**costs) if costs else None,
        )
        taken = _specs.get(name)
        # A reloaded module may register its networks again, for example in a notebook.
        if taken and taken.module != spec.module:
            raise InputError(
                f"{spec.module} registers the model {name!r}, but {taken.module} already did; "
                "give the function another name"
            )
        _specs[name] = spec
        return build

    return register


def list_models(pattern: str = "*", *, pretrained: bool = False) -> list[str]:
    """Return the names of the networks, sorted. Does not start TensorFlow.

    Args:
        pattern: pattern that the names must match: ``*`` is any text, ``?`` any character.
        pretrained: whether to return only networks whose trained weights the package contains.

    >>> zoo.list_models("compact-*")
    ['compact-10k', 'compact-40k', 'compact-4k']
    """
    names = _specs.keys() & released().keys() if pretrained else _specs.keys()
    return fnmatch.filter(sorted(names), pattern)


def get_spec(name: str) -> ModelSpec:
    """Return the specification of a network. Does not start TensorFlow.

    Raises:
        InputError: no network has this name; the message suggests the closest one.

    >>> zoo.get_spec("ltfn5").input_shape
    (28, 28, 1)
    """
    if name not in _specs:
        allowed = f"{', '.join(sorted(_specs))}, and your own with --import MODULE"
        raise unknown("model", name, _specs, described=allowed)
    return _specs[name]


def get_costs(
    name: str,
    *,
    input_shape: tuple[int, int, int] | None = None,
    classes: int | None = None,
) -> Costs:
    """Return a network's parameters, multiply-adds and largest activation for one image.

    The network is built if it was registered without them, or with others than the given shape and
    number of classes.

    Raises:
        InputError: the network cannot be built, see ``create_model``.
    """
    spec = get_spec(name)
    is_usual = input_shape in (None, spec.input_shape) and classes in (None, spec.classes)
    if spec.costs and is_usual:
        return spec.costs
    model = create_model(name, input_shape=input_shape, classes=classes)
    return Costs(
        parameters=model.count_params(),
        multiply_adds=cost.multiply_adds(model),
        largest_activation=cost.largest_activation(model),
    )


def create_model(
    name: str,
    *,
    input_shape: tuple[int, int, int] | None = None,
    classes: int | None = None,
    include_top: bool = True,
    pooling: str | None = None,
    precision: str = "float32",
) -> keras.Model:
    """Build a network with new weights; all else is as in ``zoo.create_model``."""
    spec = get_spec(name)
    shape = input_shape or spec.input_shape
    classes = spec.classes if classes is None else classes
    is_shape = len(shape) == 3 and None not in shape
    if not is_shape or min(shape[:2]) < spec.smallest or shape[2] < 1 or classes < 1:
        raise InputError(
            f"{name} takes images of at least {spec.smallest}x{spec.smallest}x1 and at least "
            f"one class, received {'x'.join(map(str, shape))} and {classes} classes"
        )
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            f"Keras must use the tensorflow backend, not {keras.backend.backend()!r}; "
            "set KERAS_BACKEND=tensorflow"
        )
    # A user's keras.json may set other defaults.
    previous = keras.config.dtype_policy(), keras.config.image_data_format()
    keras.config.set_dtype_policy(PRECISIONS[precision])
    keras.config.set_image_data_format("channels_last")
    try:
        model = spec.build(shape, classes)
    except Exception as error:  # a user's function may raise anything
        raise InputError(
            f"{spec.module} cannot build {name} for images of {'x'.join(map(str, shape))} and "
            f"{classes} classes: {one_line(error)}"
        ) from error
    finally:
        keras.config.set_dtype_policy(previous[0])
        keras.config.set_image_data_format(previous[1])
    if fault := _fault(model, spec, shape, classes):
        raise InputError(f"the function of {name} in {spec.module} returned {fault}")
    if not include_top:
        model = _without_top(model, name, pooling)
    elif pooling:
        raise InputError(f"pooling={pooling!r} requires include_top=False")
    model.name = name
    return model


def _without_top(model: keras.Model, name: str, pooling: str | None) -> keras.Model:
    """Return the model up to its last feature maps, pooled if requested.

    Raises:
        InputError: the pooling is unknown, or no feature maps precede the layer of the logits.
    """
    kinds = {
        None: layers.Identity,
        "avg": layers.GlobalAveragePooling2D,
        "max": layers.GlobalMaxPooling2D,
    }
    if pooling not in kinds:
        raise unknown("pooling", str(pooling), ["avg", "max"])
    tensor = next(layer for layer in reversed(model.layers) if layer.weights).input
    while len(tensor.shape) != 4:
        tensor = tensor._keras_history.operation.input
    features = keras.Model(model.input, kinds[pooling](name="features")(tensor))
    if not features.weights:
        raise InputError(f"{name} has no feature maps; it requires include_top=True")
    return features


def _fault(model: Any, spec: ModelSpec, shape: tuple[int, int, int], classes: int) -> str | None:
    """Return what is wrong with a registered function's model and how to fix it, or None."""
    if not isinstance(model, keras.Model) or not hasattr(model, "operations"):
        return f"{type(model).__name__}; return a functional model, keras.Model(image, logits)"
    takes, gives = model.input_shape, model.output_shape
    if takes != (None, *shape) or gives != (None, classes):
        return (
            f"a model that maps {takes} to {gives}; it must map {(None, *shape)} to "
            f"{(None, classes)}"
        )
    if model.output.dtype != "float32":
        return f'a model with {model.output.dtype} logits; set dtype="float32" in its last layer'
    for ending in ("softmax", "sigmoid"):
        if _ending(model).startswith(ending):  # also softmax_v2, the name of tf.nn.softmax
            return f"a model that returns probabilities; it must return logits: remove the {ending}"
    if nested := [each.name for each in model.layers if isinstance(each, keras.Model)]:
        return (
            f"a model that contains another model, {nested[0]!r}; call its layers "
            "directly, or pass input_tensor= to a model of keras.applications"
        )
    inner = list(model._flatten_layers())  # also those within a layer
    if model.losses or any(getattr(each, "activity_regularizer", None) for each in inner):
        return (
            "a model with a regularizer, which the training would leave out; remove it, and train "
            "with --set weight_decay=NUMBER"
        )
    normalized = any(isinstance(each, layers.BatchNormalization) for each in inner)
    if normalized and not spec.batch_statistics:
        return (
            "a model with batch normalization; register it with register_model("
            "batch_statistics=True, ...)"
        )
    return None


_COMPUTING_NOTHING = {
    "Activation", "Cast", "Dropout", "Flatten", "Identity", "Reshape", "Squeeze",
}  # fmt: skip


def _ending(model: keras.Model) -> str:
    """Return the name of the last operation that computes, or of its activation, in lower case."""
    operation = model.output._keras_history.operation
    while type(operation).__name__ in _COMPUTING_NOTHING:
        if getattr(operation, "activation", keras.activations.linear) != keras.activations.linear:
            break
        operation = operation.input._keras_history.operation
    activation = getattr(operation, "activation", None)
    named = type(operation) if activation in (None, keras.activations.linear) else activation
    return getattr(named, "__name__", type(named).__name__).lower()
