from __future__ import annotations

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from tests.conftest import ROOT
from zoo.data import Dataset
from zoo.inference import predict_fn
from zoo.models import registry, shards
from zoo.training import recipes
from zoo.training.initializers import initialize
from zoo.training.optimizers import make_optimizer
from zoo.training.step import make_train_step

RECIPE = recipes.get_recipe("post").replace(
    learning_rate=1e-2, initializer="he", weight_decay=0.01, steps=1
)


def _weights_after_a_step(data: Dataset, parts: int) -> tuple[list[np.ndarray], float, float]:
    model = zoo.create_model("ltfn5")
    optimizer = make_optimizer(RECIPE, 1)
    optimizer.build(model.trainable_variables)
    initialize(model, RECIPE)
    step = make_train_step(model, optimizer, RECIPE, parts)
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


@pytest.mark.parametrize(
    ("models", "cores", "batch_size", "expected"),
    [
        (["ltfn5", "ltfn3"], 2, 100, [4, 4]),
        (["ltfn5"], 4, 100, [8]),
        # Too few images for so many cores.
        (["ltfn5"], 8, 100, [1]),
        (["ltfn5"], 2, 47, [1]),
        (["ltfn5"], 8, 192, [16]),
        # Too many to trace.
        (["ltfn5"], 9, 10_000, [1]),
        # One network that needs whole batches disables shards for the whole process.
        (["ltfn5", "compact-4k"], 2, 100, [1, 1]),
    ],
)
def test_shards_are_for_networks_and_batches_that_gain(
    models: list[str],
    cores: int,
    batch_size: int,
    expected: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads = [0]  # TensorFlow's default, all cores
    threading = tf.config.threading
    monkeypatch.setattr(threading, "set_intra_op_parallelism_threads", threads.append)
    monkeypatch.setattr(threading, "get_intra_op_parallelism_threads", lambda: threads[-1])
    monkeypatch.setattr(shards, "cores", lambda: cores)
    shards.prepare(models, batch_size)
    assert [shards.count(zoo.create_model(name), batch_size) for name in models] == expected


def test_a_process_that_prepares_first_computes_in_shards() -> None:
    code = """
import zoo
from zoo.models import shards
from zoo.util import backend
backend.start_tensorflow()
shards.cores = lambda: 2
shards.prepare(["ltfn5"], 100)
print(shards.count(zoo.create_model("ltfn5"), 100))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "4\n"


def test_nothing_is_in_shards_where_nothing_was_prepared() -> None:
    assert shards.count(zoo.create_model("ltfn5"), 100) == 1


def test_a_tensorflow_that_has_begun_keeps_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "cores", lambda: 2)  # few enough to prepare shards
    threads = tf.config.threading.get_intra_op_parallelism_threads()
    tf.zeros([1])
    shards.prepare(["ltfn5"], 10_000)
    assert tf.config.threading.get_intra_op_parallelism_threads() == threads
