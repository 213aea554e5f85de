"""The zoo's own training step of ltfn5, ready to be timed."""

from __future__ import annotations

from collections.abc import Callable

from zoo import registry, shards, training
from zoo.recipes import Recipe


def training_step(recipe: Recipe, size: int = 28) -> Callable:
    """Return the step that a training by ``recipe`` takes, on images of this height and width."""
    model = registry.create_model("ltfn5", input_shape=(size, size, 1), precision=recipe.precision)
    assert recipe.steps
    optimizer = training.make_optimizer(recipe, recipe.steps)
    optimizer.build(model.trainable_variables)
    training.initialize(model, recipe)
    parts = shards.count(model, recipe.batch_size)
    return training.make_train_step(model, optimizer, recipe, parts)
