"""The compiled training step: compute the gradients of a batch, then update the weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from etils import epy

from zoo.models import shards
from zoo.recipes import Recipe
from zoo.training.gradients import choose_gradients
from zoo.training.initializers import named

with epy.lazy_imports():
    import keras
    import tensorflow as tf


def make_train_step(model: keras.Model, optimizer: keras.Optimizer, recipe: Recipe) -> Callable:
    """Return a compiled function that updates the weights with one batch.

    It takes images and labels, and returns the cost and accuracy before the update.

    Args:
        model: raw pixels to logits.
        optimizer: built for the model's weights.
        recipe: how to train; its shards change the results only by rounding.
    """
    kernels = {id(kernel) for layer in model.layers for kernel in named(layer, "kernel")}
    of_shard = choose_gradients(model, recipe)
    parts = recipe.shards or 1

    @tf.function(autograph=False)
    def train_step(images: Any, labels: Any) -> tuple[Any, Any]:
        size = tf.cast(tf.shape(labels)[0], tf.float32)
        pairs = zip(shards.split(images, parts), shards.split(labels, parts), strict=True)
        found = [of_shard(model, *pair, size) for pair in pairs]
        costs, accuracies, each_gradients = zip(*found, strict=True)
        weights = model.trainable_variables
        gradients = [tf.add_n(each) for each in zip(*each_gradients, strict=True)]
        if recipe.weight_decay:
            gradients = [
                gradient + recipe.weight_decay * weight if id(weight) in kernels else gradient
                for gradient, weight in zip(gradients, weights, strict=True)
            ]
        optimizer.apply(gradients, weights)
        return tf.add_n(costs), tf.add_n(accuracies)

    return train_step
