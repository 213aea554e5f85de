from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from tests.conftest import EVERY_MODEL
from zoo import recipes
from zoo.data import Dataset
from zoo.models.registry import PRECISIONS
from zoo.training.cost import Cost
from zoo.training.gradients import backpropagate_all, backpropagate_nonzero, choose_gradients
from zoo.training.initializers import initialize

POST = recipes.get_recipe("post")
COST = Cost(POST)


def _begun(name: str, precision: str = "float32") -> keras.Model:
    model = zoo.create_model(name, input_shape=(16, 16, 1), precision=precision)
    initialize(model, POST)
    return model


def _half_right(model: keras.Model, digits: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return eight images with labels, of which the network predicts the last four correctly."""
    images = digits.train.images[:8, 6:22, 6:22]
    found = np.argmax(model(images), axis=1)
    return images, np.where(np.arange(8) < 4, (found + 1) % 10, found)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", EVERY_MODEL)
def test_every_model_finds_the_same_gradients(name: str, precision: str, digits: Dataset) -> None:
    model = _begun(name, precision)
    images, labels = _half_right(model, digits)
    found = choose_gradients(model, POST, COST)
    if found is backpropagate_all:  # used where two forward passes differ
        logits = [model(images, training=True).numpy() for _ in range(2)]
        alone = model(images[:1], training=True).numpy()
        assert np.any(logits[0] != logits[1]) or np.any(logits[0][:1] != alone)
        return
    cost, accuracy, gradients = found(model, COST, images, labels, 10.0)
    expected_cost, expected_accuracy, expected = backpropagate_all(
        model, COST, images, labels, 10.0
    )
    assert float(cost) == pytest.approx(float(expected_cost))
    assert float(accuracy) == pytest.approx(float(expected_accuracy)) == pytest.approx(0.4)
    # The order of sums differs; without hardware support, every bfloat16 term is rounded.
    tolerance = {"float32": 1e-5, "bfloat16": 2**-5}[precision]
    for one, other in zip(gradients, expected, strict=True):
        size = np.linalg.norm(other)
        assert size > 0
        assert np.linalg.norm(np.asarray(one) - other) <= tolerance * size


class _Counted(keras.layers.Layer):
    """Layer that counts the images it receives."""

    def __init__(self) -> None:
        super().__init__()
        self.images = 0

    def call(self, x: Any) -> Any:
        self.images += x.shape[0] or 0
        return x


@pytest.mark.parametrize(
    ("initializer", "expected"),
    [
        # Eight forward, and the first four, which are wrong, again to backpropagate them.
        ("normal", 8 + 4),
        ("he", 8),
    ],
)
def test_only_images_with_a_gradient_are_sent_back(
    initializer: str, expected: int, digits: Dataset
) -> None:
    model = _begun("ltfn5")
    images, labels = _half_right(model, digits)
    image = keras.Input((16, 16, 1))
    counted = _Counted()
    model = keras.Model(image, model(counted(image)))
    find = choose_gradients(model, POST.replace(initializer=initializer), COST)
    find(model, COST, images, labels, 8.0)
    assert counted.images == expected


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.Dropout(0.1),
        keras.layers.GaussianNoise(1.0),
        keras.layers.RandomFlip(),
        keras.layers.BatchNormalization(),
    ],
)
def test_layers_that_compute_something_else_each_time_compute_once(layer: keras.Layer) -> None:
    model = keras.Sequential([keras.Input((8, 8, 1)), layer, keras.layers.Flatten()])
    assert choose_gradients(model, POST, COST) is backpropagate_all


@pytest.mark.parametrize(("smoothing", "teachers"), [(0.1, 0), (0.0, 1)])
def test_targets_that_are_never_reached_send_all_images_back(
    smoothing: float, teachers: int
) -> None:
    model = _begun("ltfn5")
    assert choose_gradients(model, POST, COST) is backpropagate_nonzero
    cost_of = Cost(POST.replace(smoothing=smoothing), [model] * teachers)
    assert choose_gradients(model, POST, cost_of) is backpropagate_all


def test_a_network_of_branches_and_other_activations_finds_the_same_gradients(
    digits: Dataset,
) -> None:
    image = keras.Input((16, 16, 1))
    first = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(image)
    second = keras.layers.Conv2D(8, 3, padding="same", activation="tanh")(first)
    joined = keras.layers.Activation("relu")(keras.layers.Add()([first, second]))
    model = keras.Model(image, keras.layers.Dense(10)(keras.layers.Flatten()(joined)))
    initialize(model, POST)
    images, labels = _half_right(model, digits)
    every, some = (
        find(model, COST, images, labels, 8.0)[2]
        for find in (backpropagate_all, backpropagate_nonzero)
    )
    for one, other in zip(some, every, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * np.abs(other).max())


def test_where_all_are_right_all_gradients_are_zero(digits: Dataset) -> None:
    model = _begun("ltfn5")
    images, labels = _half_right(model, digits)
    cost, accuracy, gradients = tf.function(backpropagate_nonzero)(
        model, COST, images[4:], labels[4:], 4.0
    )
    assert (float(cost), float(accuracy)) == (0, 1)
    assert not any(np.any(gradient) for gradient in gradients)


def test_images_that_are_hardly_wrong_keep_their_gradient(digits: Dataset) -> None:
    # With He initialization the logits are close together: every image has a gradient.
    model = zoo.create_model("ltfn5")
    initialize(model, POST.replace(initializer="he"))
    images, labels = digits.train.images[:8], digits.train.labels[:8]
    every, some = (
        find(model, COST, images, labels, 8.0)[2]
        for find in (backpropagate_all, backpropagate_nonzero)
    )
    for one, other in zip(some, every, strict=True):
        np.testing.assert_array_equal(one, other)
