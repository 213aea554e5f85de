"""The training loop: train a network on a dataset with a recipe."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from etils import epy

from zoo.data import Dataset, augment
from zoo.data.batches import training_batches
from zoo.errors import DivergedError, Interrupted
from zoo.inference import predict_fn
from zoo.metrics import evaluate
from zoo.recipes import Recipe
from zoo.runs import Run
from zoo.training.averages import WeightAverage
from zoo.training.checkpoints import Checkpoints, Position
from zoo.training.initializers import initialize
from zoo.training.metrics_log import MetricsLog
from zoo.training.optimizers import make_optimizer
from zoo.training.step import make_train_step
from zoo.util import signals

with epy.lazy_imports():
    import keras

REPORT_STEPS = 100
CHECKPOINT_SECONDS = 60


class Progress(Protocol):
    """The interface of a progress display."""

    def update(self, step: int, cost: float, accuracy: float) -> None:
        """Show the cost and accuracy of the batch of ``step``, before its update."""

    def validated(self, step: int, accuracy: float) -> None:
        """Show the validation accuracy after ``step`` steps."""


@dataclass(frozen=True)
class Training:
    """The results of a finished training.

    Attributes:
        steps: total number of steps.
        seconds: time spent on steps, without validation.
        images_per_second: training images divided by ``seconds``.
        validation_accuracy: accuracy of the final weights, 0..1.
    """

    steps: int
    seconds: float
    images_per_second: float
    validation_accuracy: float


def train(
    model: keras.Model,
    recipe: Recipe,
    data: Dataset,
    run: Run,
    progress: Progress,
    *,
    begin: Callable[[], object] | None = None,
    resume: bool = False,
    tensorboard: bool = False,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> Training:
    """Train ``model`` in place.

    Args:
        model: raw pixels to logits, built with the recipe's precision.
        recipe: how to train.
        data: trains on ``data.train`` and validates on ``data.validation``.
        run: where metrics and checkpoints are written.
        progress: displays each step.
        begin: replaces the initial weights, unless a checkpoint does; None to keep them.
        resume: whether to continue from the run's latest checkpoint, if there is one.
        tensorboard: whether to write TensorBoard event files too.
        checkpoint_seconds: seconds between two checkpoints.

    Raises:
        DivergedError: a cost, a weight or a logit is not finite.
        Interrupted: SIGINT or SIGTERM was received; the state was saved first.
    """
    steps = recipe.total_steps(len(data.train))
    # Once per epoch, but on small datasets no more often than every REPORT_STEPS.
    validation_steps = max(REPORT_STEPS, math.ceil(len(data.train) / recipe.batch_size))
    optimizer = make_optimizer(recipe, steps)
    optimizer.build(model.trainable_variables)
    initialize(model, recipe)
    if begin:
        begin()
    average = WeightAverage(model, optimizer, recipe.average)
    checkpoints = Checkpoints(run, model, optimizer, average)
    position = checkpoints.restore() if resume else Position(step=0, seconds=0.0)

    train_step = make_train_step(model, optimizer, recipe)
    predict = predict_fn(model, recipe.shards or 1)
    clock = _Clock(position.seconds)
    saved_at = time.monotonic()
    events = run.tensorboard if tensorboard else None
    with signals.deferred() as received, MetricsLog(run.metrics, position.step, events) as log:
        stream = recipe_batches(recipe, data, position.step, steps)
        for number, (images, labels) in enumerate(stream, position.step + 1):
            with clock:
                cost, accuracy = (float(value) for value in train_step(images, labels))
                average.update()
            if not math.isfinite(cost):
                raise _diverged(f"the cost became {cost}", number - 1, recipe)
            progress.update(number - 1, cost, accuracy)
            if (number - 1) % REPORT_STEPS == 0 or number == steps:
                log.write(step=number - 1, cost=cost, accuracy=accuracy, seconds=clock.seconds)
            if number % validation_steps == 0 and number != steps:
                score = evaluate(predict, data.validation)
                log.write(step=number, validation_accuracy=score.accuracy)
                progress.validated(number, score.accuracy)
            if received.signal or time.monotonic() - saved_at >= checkpoint_seconds:
                log.sync()
                checkpoints.save(Position(number, clock.seconds))
                saved_at = time.monotonic()
            if received.signal:
                raise Interrupted(
                    f"interrupted after step {number} of {steps}; the state is saved; "
                    + run.how_to_resume(model.name),
                    received.signal,
                )
        # The check of the cost misses the last update and the moving variance of batch
        # normalization, so the weights are checked too.
        for weight in model.weights:
            if not np.isfinite(weight).all():
                raise _diverged(f"the weights {weight.path} are not finite", steps, recipe)
        log.sync()
        checkpoints.save(Position(steps, clock.seconds))
        average.replace_weights()
        score = evaluate(predict, data.validation)
        log.write(step=steps, validation_accuracy=score.accuracy)
        progress.validated(steps, score.accuracy)
    rate = steps * recipe.batch_size / clock.seconds if clock.seconds else 0.0
    return Training(steps, clock.seconds, rate, score.accuracy)


def _diverged(what: str, step: int, recipe: Recipe) -> DivergedError:
    return DivergedError(
        f"{what} at step {step}; train again with a lower learning rate than "
        f"{recipe.learning_rate:g}, --set learning_rate=RATE"
    )


def recipe_batches(
    recipe: Recipe, data: Dataset, start: int, steps: int
) -> Iterator[tuple[Any, Any]]:
    """Yield the augmented training batches from step ``start`` up to ``steps``, exclusive."""
    warps = recipe.rotation or recipe.zoom or recipe.shear

    def augmented(images: Any, seed: Any) -> Any:
        if not warps:
            return augment.shift(images, seed, recipe.shift)
        return augment.warp(
            images,
            seed,
            shift=recipe.shift,
            rotation=recipe.rotation,
            zoom=recipe.zoom,
            shear=recipe.shear,
        )

    return training_batches(
        data.train,
        batch_size=recipe.batch_size,
        start=start,
        steps=steps,
        seed=recipe.seed,
        shuffle=recipe.shuffle,
        augment=augmented if recipe.shift or warps else None,
    )


class _Clock:
    """A stopwatch: add the seconds within ``with clock:`` to those of an earlier process."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __enter__(self) -> None:
        self._entered = time.perf_counter()

    def __exit__(self, *exception: object) -> None:
        self.seconds += time.perf_counter() - self._entered
