"""The registry of networks: the zoo's own, and those of a user's modules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from etils import epy

from zoo.errors import InputError, one_line, unknown
from zoo.models import cost

with epy.lazy_imports():
    import keras
    from keras import layers

Build = Callable[..., "keras.Model"]

PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
"""Number format of the layers' arithmetic -> Keras dtype policy. Weights stay float32."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What one image costs a network at its default shapes.

    Attributes:
        parameters: number of weights.
        multiply_adds: multiplications with a weight.
        largest_activation: bytes of the largest tensor between two layers, in float32.
    """

    parameters: int
    multiply_adds: int
    largest_activation: int


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """What is known of a network before it is built.

    Attributes:
        name: registry name, the name on every command line.
        build: function of ``(input_shape, classes)`` that returns the Keras functional model.
        input_shape: default ``(height, width, channels)``.
        classes: default number of classes.
        smallest: least height and width of an image.
        origin: the paper, table or post the network comes from, by default its module.
        batch_statistics: whether training normalises by the mean and variance of the batch.
        costs: None if they are computed when needed.
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
    """Register the decorated function under its own name, ``_`` written as ``-``.

    The function takes ``(input_shape, classes)`` and returns a Keras functional model of raw pixels
    ``[N, height, width, channels]`` to float32 logits ``[N, classes]``.

    Args:
        input_shape: default ``(height, width, channels)``.
        classes: default number of classes.
        smallest: least height and width of an image.
        origin: the paper, table or post the network comes from, by default its module.
        batch_statistics: whether the network has batch normalization.
        **costs: all attributes of ``Costs``, or none: they are then computed when needed.

    Raises:
        InputError: another module has registered this name.
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
        # The same module registers again when it is reloaded, as notebooks do.
        if taken and taken.module != spec.module:
            raise InputError(
                f"{spec.module} registers the model {name!r}, and so does {taken.module}; "
                "give the function another name"
            )
        _specs[name] = spec
        return build

    return register


def list_models() -> list[str]:
    """Return the name of every network, sorted. Does not start TensorFlow."""
    return sorted(_specs)


def get_spec(name: str) -> ModelSpec:
    """Return the facts of one network. Does not start TensorFlow.

    Raises:
        InputError: no network has this name; the message suggests the nearest.
    """
    if name not in _specs:
        allowed = f"{', '.join(sorted(_specs))}, and your own with --import MODULE"
        raise unknown("model", name, _specs, told=allowed)
    return _specs[name]


def get_costs(name: str) -> Costs:
    """Return what one image costs a network; builds it if it was registered without its costs.

    Raises:
        InputError: as ``create_model`` does.
    """
    if costs := get_spec(name).costs:
        return costs
    model = create_model(name)
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
    precision: str = "float32",
) -> keras.Model:
    """Build a network with fresh weights.

    Args:
        name: one of ``list_models()``.
        input_shape: ``(height, width, channels)``, by default the network's own.
        classes: number of logits, by default the network's own.
        precision: ``"float32"``, or ``"bfloat16"`` for mixed precision: bfloat16 arithmetic,
            float32 weights and logits.

    Returns:
        A functional model that maps raw pixels ``[N, height, width, channels]`` (``uint8``, or
        floats holding 0..255) to float32 logits ``[N, classes]``.

    Raises:
        InputError: unknown name or precision, too small an image, no class, Keras runs on another
            backend, or the registered function fails or returns another kind of model.
    """
    spec = get_spec(name)
    shape, classes = input_shape or spec.input_shape, classes or spec.classes
    if len(shape) != 3 or min(shape[:2]) < spec.smallest or shape[2] < 1 or classes < 1:
        raise InputError(
            f"{name} takes images of at least {spec.smallest}x{spec.smallest}x1 and one class, "
            f"received {'x'.join(map(str, shape))} and {classes}"
        )
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            "the zoo needs Keras on the tensorflow backend (KERAS_BACKEND=tensorflow), "
            f"not on {keras.backend.backend()!r}"
        )
    # A user's keras.json may say otherwise.
    previous = keras.config.dtype_policy(), keras.config.image_data_format()
    keras.config.set_dtype_policy(PRECISIONS[precision])
    keras.config.set_image_data_format("channels_last")
    try:
        model = spec.build(shape, classes)
    except Exception as error:  # of a user's function anything
        raise InputError(
            f"{spec.module} cannot build {name} for images of {'x'.join(map(str, shape))} and "
            f"{classes} classes: {one_line(error)}"
        ) from error
    finally:
        keras.config.set_dtype_policy(previous[0])
        keras.config.set_image_data_format(previous[1])
    if fault := _fault(model, spec, shape, classes):
        raise InputError(f"{spec.module} builds {name} as {fault}")
    model.name = name
    return model


def _fault(model: Any, spec: ModelSpec, shape: tuple[int, int, int], classes: int) -> str | None:
    """Return what is wrong with a model that a registered function returned, None if nothing."""
    if not isinstance(model, keras.Model) or not hasattr(model, "operations"):
        return f"{type(model).__name__}; return a functional model, keras.Model(image, logits)"
    takes, gives = model.input_shape, model.output_shape
    if takes != (None, *shape) or gives != (None, classes):
        return (
            f"a model of {takes} to {gives}; it must take {(None, *shape)} and return "
            f"{(None, classes)}"
        )
    if model.output.dtype != "float32":
        return f'a model of {model.output.dtype} logits; give its last layer dtype="float32"'
    last = model.operations[-1]
    if (
        isinstance(last, layers.Softmax)
        or getattr(last, "activation", None) is keras.activations.softmax
    ):
        return "a model of probabilities; it must return logits: leave out the softmax"
    if nested := [each.name for each in model.layers if isinstance(each, keras.Model)]:
        return (
            f"a model that holds another, {nested[0]!r}; call the layers of that one instead, for "
            "one of keras.applications with input_tensor="
        )
    normalized = any(isinstance(each, layers.BatchNormalization) for each in model.layers)
    if normalized and not spec.batch_statistics:
        return (
            "a model with batch normalization; register it with register_model("
            "batch_statistics=True, ...)"
        )
    return None
