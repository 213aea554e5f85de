from __future__ import annotations

import keras
import numpy as np
import pytest

import zoo
from zoo import recipes
from zoo.data import Dataset
from zoo.inference import predict_fn
from zoo.models import registry
from zoo.training.initializers import initialize
from zoo.training.optimizers import make_optimizer
from zoo.training.step import make_train_step

RECIPE = recipes.get_recipe("post").replace(
    learning_rate=1e-2, initializer="he", weight_decay=0.01, steps=1
)


def _weights_after_a_step(data: Dataset, shards: int) -> tuple[list[np.ndarray], float, float]:
    model = zoo.create_model("ltfn5")
    optimizer = make_optimizer(RECIPE, 1)
    optimizer.build(model.trainable_variables)
    initialize(model, RECIPE)
    step = make_train_step(model, optimizer, RECIPE.replace(shards=shards))
    cost, accuracy = step(data.train.images[:10], data.train.labels[:10])
    return model.get_weights(), float(cost), float(accuracy)


def test_a_step_in_shards_is_the_same_step(digits: Dataset) -> None:
    # Ten images do not divide evenly into four shards, but all images have the same weight.
    whole, cost, accuracy = _weights_after_a_step(digits, 1)
    parted, cost_of_parts, accuracy_of_parts = _weights_after_a_step(digits, 4)
    assert cost_of_parts == pytest.approx(cost, rel=1e-5)
    assert accuracy_of_parts == pytest.approx(accuracy)
    for one, other in zip(whole, parted, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("count", [1, 3, 10])
def test_logits_in_shards_are_the_same_logits(digits: Dataset, count: int) -> None:
    model = zoo.create_model("ltfn5")
    images = digits.test.images[:count]
    whole, parted = (predict_fn(model, parts)(images) for parts in (1, 4))
    assert parted.shape == (count, 10)
    np.testing.assert_allclose(parted, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", registry.list_models())
def test_the_registry_knows_who_needs_the_whole_batch(name: str) -> None:
    layers = zoo.create_model(name).layers
    normalises = any(isinstance(layer, keras.layers.BatchNormalization) for layer in layers)
    assert registry.get_spec(name).batch_statistics == normalises
