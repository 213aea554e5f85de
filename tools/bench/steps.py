"""The zoo's training step of ltfn5, built for timing."""

from __future__ import annotations

from collections.abc import Callable

from zoo.models import registry
from zoo.recipes import Recipe
from zoo.training import parallelism
from zoo.training.initializers import initialize
from zoo.training.optimizers import make_optimizer
from zoo.training.step import make_train_step


def training_step(recipe: Recipe, size: int = 28) -> Callable:
    """Return the training step of ``recipe`` for images of ``size`` x ``size`` pixels."""
    model = registry.create_model("ltfn5", input_shape=(size, size, 1), precision=recipe.precision)
    assert recipe.steps
    optimizer = make_optimizer(recipe, recipe.steps)
    optimizer.build(model.trainable_variables)
    initialize(model, recipe)
    return make_train_step(model, optimizer, parallelism.resolve(recipe, "ltfn5"))
