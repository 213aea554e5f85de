"""The optimizers and learning rate schedules of the recipes."""

from __future__ import annotations

from typing import Any

from etils import epy

from zoo.recipes import Recipe

with epy.lazy_imports():
    import keras


def make_optimizer(recipe: Recipe, steps: int) -> keras.Optimizer:
    """Return the recipe's optimizer, with its learning rate schedule for ``steps`` steps."""
    rate: Any = recipe.learning_rate
    if recipe.schedule == "cosine":
        rise = max(1, steps // 10)
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0,
            warmup_target=recipe.learning_rate,
            warmup_steps=rise,
            decay_steps=max(1, steps - rise),
        )
    elif recipe.schedule == "drops":
        drops = [steps * sevenths // 7 for sevenths in (4, 5, 6)]
        rates = [recipe.learning_rate / tenths for tenths in (1, 10, 100, 1000)]
        rate = keras.optimizers.schedules.PiecewiseConstantDecay(drops, rates)
    optimizers = {
        "sgd": lambda: keras.optimizers.SGD(rate, momentum=recipe.momentum),
        "adam": lambda: keras.optimizers.Adam(rate),
    }
    return optimizers[recipe.optimizer]()
