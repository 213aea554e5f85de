"""Test that a network is recognized by what it computes, and only by this."""

from __future__ import annotations

from typing import Any

import keras
import pytest
from keras import layers

import zoo
from zoo.models import architecture


def _network(**changes: Any) -> keras.Model:
    settings = {"scale": 1 / 255, "activation": "relu", "units": 3, "skip": False} | changes
    image = keras.Input((4, 4, 1))
    x = layers.Flatten()(layers.Rescaling(settings["scale"])(image))
    kernel = settings.get("kernel_initializer", "he_normal")
    y = layers.Dense(16, activation=settings["activation"], kernel_initializer=kernel)(x)
    y = layers.Lambda(settings.get("function", lambda value: value))(y)
    return keras.Model(image, layers.Dense(settings["units"])(x + y if settings["skip"] else y))


def test_names_initializers_and_lambdas_do_not_matter() -> None:
    one = architecture.fingerprint(_network())
    assert one
    for _ in range(2):  # the layers get other names
        assert architecture.fingerprint(_network()) == one
    for change in ({"kernel_initializer": "zeros"}, {"function": lambda value: value + 0}):
        assert architecture.fingerprint(_network(**change)) == one


@pytest.mark.parametrize(
    "change", [{"scale": 1 / 127}, {"activation": "elu"}, {"units": 4}, {"skip": True}]
)
def test_what_changes_the_answers_changes_the_fingerprint(change: dict[str, Any]) -> None:
    one, other = (architecture.fingerprint(_network(**each)) for each in ({}, change))
    assert architecture.differ(one, other)
    assert not architecture.differ(one, one)
    # Another version of Keras may describe the same layers in other words.
    assert one
    assert other
    assert not architecture.differ(one, other | {"keras": "1.0"})
    assert not architecture.differ(None, other)


def test_each_network_of_the_zoo_has_its_own_in_any_precision() -> None:
    found = set()
    for name in zoo.list_models():
        one, other = (
            architecture.fingerprint(zoo.create_model(name, precision=precision))
            for precision in ("float32", "bfloat16")
        )
        assert one
        assert one == other
        found.add(one["sha256"])
    assert len(found) == len(zoo.list_models())


def test_layers_that_cannot_be_described_have_none() -> None:
    class Scale(layers.Layer):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factor = factor

        def call(self, x: Any) -> Any:
            return self.factor * x

        def get_config(self) -> dict[str, Any]:
            raise NotImplementedError

    image = keras.Input((4, 4, 1))
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(Scale(2.0)(image))))
    assert architecture.fingerprint(model) is None
