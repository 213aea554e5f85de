"""The one list of networks: a name, how to build it, and the facts tests hold it to."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from etils import epy

from zoo.errors import InputError, unknown

with epy.lazy_imports():
    import keras

Build = Callable[..., "keras.Model"]

PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
"""Number format of the layers' arithmetic -> Keras dtype policy. Weights stay float32."""


@dataclass(frozen=True)
class ModelSpec:
    """What is known of a network before it is built.

    Attributes:
        name: registry name, the name on every command line.
        build: function of ``(input_shape, classes)`` that returns the Keras functional model.
        parameters: number of weights at the default shapes.
        multiply_adds: multiplications with a weight for one image, at the default shapes.
        largest_activation: bytes of the largest tensor between two layers, one float32 image.
        smallest: least height and width of an image.
        input_shape: default ``(height, width, channels)``.
        classes: default number of classes.
        origin: the paper, table or post the network comes from.
        batch_statistics: whether training normalises by the mean and variance of the batch.
    """

    name: str
    build: Build
    parameters: int
    multiply_adds: int
    largest_activation: int
    smallest: int
    input_shape: tuple[int, int, int]
    classes: int
    origin: str
    batch_statistics: bool = False


_specs: dict[str, ModelSpec] = {}


def register_model(**facts: Any) -> Callable[[Build], Build]:
    """Register the decorated function under its own name, ``_`` written as ``-``.

    Args:
        **facts: the attributes of ``ModelSpec``, its name and function excepted.

    Raises:
        ValueError: the name is taken.
    """

    def register(build: Build) -> Build:
        name = build.__name__.replace("_", "-")
        if name in _specs:
            raise ValueError(f"two models are called {name!r}")
        _specs[name] = ModelSpec(name=name, build=build, **facts)
        return build

    return register


def _registry() -> dict[str, ModelSpec]:
    importlib.import_module("zoo.models")
    return _specs


def list_models() -> list[str]:
    """Return the name of every network, sorted. Does not start TensorFlow."""
    return sorted(_registry())


def get_spec(name: str) -> ModelSpec:
    """Return the facts of one network. Does not start TensorFlow.

    Raises:
        InputError: no network has this name; the message suggests the nearest.
    """
    registry = _registry()
    if name not in registry:
        raise unknown("model", name, registry)
    return registry[name]


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
        InputError: unknown name or precision, too small an image, no class, or Keras runs on
            another backend.
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
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(PRECISIONS[precision])
    try:
        return spec.build(shape, classes)
    finally:
        keras.config.set_dtype_policy(previous)
