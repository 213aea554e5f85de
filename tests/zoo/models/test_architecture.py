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
    image = keras.Input((6, 6, 1))
    # Of these layers, Keras gives the first a random seed, and the next two the names of settings.
    x = layers.RandomCrop(4, 4)(layers.Rescaling(settings["scale"])(image))
    x = keras.ops.relu(layers.Activation("tanh")(layers.Flatten(name=settings.get("name"))(x)))
    kernel = settings.get("kernel_initializer", "he_normal")
    y = layers.Dense(16, activation=settings["activation"], kernel_initializer=kernel)(x)
    y = layers.Lambda(settings.get("function", lambda value: value))(y)
    return keras.Model(image, layers.Dense(settings["units"])(x + y if settings["skip"] else y))


def test_names_initializers_and_lambdas_do_not_matter() -> None:
    one = architecture.fingerprint(_network())
    assert one
    for _ in range(2):  # the layers get other names
        assert architecture.fingerprint(_network()) == one
    for change in (
        {"kernel_initializer": "zeros"},
        {"function": lambda value: value + 0},
        {"name": "units"},
        {"name": "layer 1"},
    ):
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


def _scaled(module: str, config: dict) -> keras.Model:
    @keras.saving.register_keras_serializable("shop", "Scale")
    class Scale(layers.Layer):
        def call(self, x: Any) -> Any:
            return 2 * x

        def get_config(self) -> dict:
            return super().get_config() | config

    Scale.__module__ = module
    image = keras.Input((4, 4, 1))
    return keras.Model(image, layers.Dense(3)(layers.Flatten()(Scale()(image))))


def test_a_registered_layer_may_move_and_have_any_settings() -> None:
    one, moved, other = (
        architecture.fingerprint(_scaled(module, {"factors": factors}))
        for module, factors in (("a", {1: 2, "b": 3}), ("b", {1: 2, "b": 3}), ("a", {1: 4}))
    )
    assert one
    assert one == moved
    assert architecture.differ(one, other)


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
