from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from tests.conftest import EVERY_MODEL
from zoo import recipes, training
from zoo.data import Dataset
from zoo.gradients import choose_gradients, of_all, of_some
from zoo.registry import PRECISIONS

POST = recipes.get_recipe("post")


def _begun(name: str, precision: str = "float32") -> keras.Model:
    model = zoo.create_model(name, input_shape=(16, 16, 1), precision=precision)
    training.initialize(model, POST)
    return model


def _half_right(model: keras.Model, digits: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return eight images and their labels, of which the network gets the last four right."""
    images = digits.train.images[:8, 6:22, 6:22]
    found = np.argmax(model(images), axis=1)
    return images, np.where(np.arange(8) < 4, (found + 1) % 10, found)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", EVERY_MODEL)
def test_every_model_finds_the_same_gradients(name: str, precision: str, digits: Dataset) -> None:
    model = _begun(name, precision)
    images, labels = _half_right(model, digits)
    found = choose_gradients(model, POST)
    if found is of_all:  # where two passes would not be the same
        logits = [model(images, training=True).numpy() for _ in range(2)]
        alone = model(images[:1], training=True).numpy()
        assert np.any(logits[0] != logits[1]) or np.any(logits[0][:1] != alone)
        return
    cost, accuracy, gradients = found(model, images, labels, 10.0)
    expected_cost, expected_accuracy, expected = of_all(model, images, labels, 10.0)
    assert float(cost) == pytest.approx(float(expected_cost))
    assert float(accuracy) == pytest.approx(float(expected_accuracy)) == pytest.approx(0.4)
    for one, other in zip(gradients, expected, strict=True):
        size = np.abs(other).max()
        assert size > 0
        # Sums in another order, and in bfloat16 one's last bit.
        last_bit = 2**-7 if precision == "bfloat16" else 0
        np.testing.assert_allclose(one, other, rtol=last_bit, atol=1e-5 * size)


class _Counted(keras.layers.Layer):
    """Counts the images that pass."""

    def build(self, shape: Any) -> None:
        self.images = self.add_weight(shape=(), dtype="int32", trainable=False)

    def call(self, x: Any) -> Any:
        self.images.assign_add(tf.shape(x)[0])
        return x


@pytest.mark.parametrize(
    ("initializer", "expected"),
    [
        # Eight forward, and the first four, which are wrong, once more.
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
    find = choose_gradients(model, POST.replace(initializer=initializer))
    find(model, images, labels, 8.0)
    assert int(counted.images) == expected


def test_where_all_are_right_all_gradients_are_zero(digits: Dataset) -> None:
    model = _begun("ltfn5")
    images, labels = _half_right(model, digits)
    cost, accuracy, gradients = tf.function(of_some)(model, images[4:], labels[4:], 4.0)
    assert (float(cost), float(accuracy)) == (0, 1)
    assert not any(np.any(gradient) for gradient in gradients)


def test_images_that_are_hardly_wrong_keep_their_gradient(digits: Dataset) -> None:
    # He's logits are near to each other: no image is without a gradient.
    model = zoo.create_model("ltfn5")
    training.initialize(model, POST.replace(initializer="he"))
    images, labels = digits.train.images[:8], digits.train.labels[:8]
    every, some = (find(model, images, labels, 8.0)[2] for find in (of_all, of_some))
    for one, other in zip(some, every, strict=True):
        np.testing.assert_array_equal(one, other)
