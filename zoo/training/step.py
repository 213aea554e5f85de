"""The compiled training step: compute the gradients of a batch, then update the weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from etils import epy

from zoo.models import shards
from zoo.recipes import Recipe
from zoo.training.cost import Cost
from zoo.training.gradients import choose_gradients
from zoo.training.initializers import named

with epy.lazy_imports():
    import keras
    import tensorflow as tf


def make_train_step(
    model: keras.Model,
    optimizer: keras.Optimizer,
    recipe: Recipe,
    strategy: tf.distribute.Strategy | None = None,
    cost_of: Cost | None = None,
) -> Callable:
    """Return a compiled function that updates the weights with one batch.

    It takes images and labels, and returns the cost and accuracy before the update. Each replica
    takes the same whole batch, and computes the gradients of its shards.

    Args:
        model: raw pixels to logits.
        optimizer: built for the model's weights.
        recipe: how to train; its shards change the results only by rounding.
        strategy: the strategy in whose scope model and optimizer were built; None for none.
        cost_of: what the step reduces; by default the recipe's cost without teachers.
    """
    strategy = strategy or tf.distribute.get_strategy()
    cost_of = cost_of or Cost(recipe)
    kernels = {id(kernel) for layer in model.layers for kernel in named(layer, "kernel")}
    seeds = [seed for seed in model.non_trainable_variables if seed.name == "seed_generator_state"]
    of_shard = choose_gradients(model, recipe, cost_of)
    parts = recipe.shards or 1
    replicas = strategy.num_replicas_in_sync
    # The optimizer adds the gradients of all replicas.
    decay = recipe.weight_decay / replicas

    def replica_step(images: Any, labels: Any) -> list:
        context = tf.distribute.get_replica_context()
        first = parts * tf.get_static_value(context.replica_id_in_sync_group)
        size = tf.cast(tf.shape(labels)[0], tf.float32)
        image_shards, label_shards = (
            shards.split(batch, replicas * parts) for batch in (images, labels)
        )
        pairs = list(zip(image_shards, label_shards, strict=True))
        _skip(seeds, first)
        found = [of_shard(model, cost_of, *pair, size) for pair in pairs[first : first + parts]]
        _skip(seeds, len(pairs) - parts - first)
        costs, accuracies, each_gradients = zip(*found, strict=True)
        weights = model.trainable_variables
        gradients = [tf.add_n(each) for each in zip(*each_gradients, strict=True)]
        if recipe.weight_decay:
            gradients = [
                gradient + decay * weight if id(weight) in kernels else gradient
                for gradient, weight in zip(gradients, weights, strict=True)
            ]
        optimizer.apply(gradients, weights)
        return context.all_reduce("SUM", [tf.add_n(costs), tf.add_n(accuracies)])

    @tf.function(autograph=False)
    def train_step(images: Any, labels: Any) -> tuple[Any, Any]:
        cost, accuracy = (
            strategy.experimental_local_results(each)[0]
            for each in strategy.run(replica_step, (images, labels))
        )
        return cost, accuracy

    return train_step


def _skip(seeds: list[Any], shards: int) -> None:
    """Advance random generators by the numbers that other replicas draw for their shards.

    So a dropout has other masks in each shard, and the same as if one process computed all shards.
    """
    for seed in seeds if shards else ():
        seed.assign(seed + tf.constant([0, shards], seed.dtype))
