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
from zoo.training.cost import Cost
from zoo.training.initializers import initialize
from zoo.training.metrics_log import MetricsLog
from zoo.training.optimizers import make_optimizer
from zoo.training.parallelism import on_gpu
from zoo.training.step import make_train_step
from zoo.training.workers import Workers, alone
from zoo.util import signals

with epy.lazy_imports():
    import keras

REPORT_STEPS = 100
CHECKPOINT_SECONDS = 60


class Progress(Protocol):
    """The interface of a progress display."""

    def update(self, step: int, cost: float, accuracy: float) -> None:
        """Show the cost and accuracy of the batch of ``step``, before its update.

        On a GPU, they are those of the latest batch whose results were read.
        """

    def validated(self, step: int, accuracy: float) -> None:
        """Show the validation accuracy after ``step`` steps."""


@dataclass(frozen=True)
class Training:
    """The results of a finished training.

    Attributes:
        steps: total number of steps.
        seconds: time spent on steps, without validation.
        images_per_second: training images divided by ``seconds``.
    """

    steps: int
    seconds: float
    images_per_second: float


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
    workers: Workers | None = None,
    cost_of: Cost | None = None,
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
        workers: those that train together, of which this process is the chief; the others call
            ``assist``. None for this process alone.
        cost_of: what the training reduces; by default the recipe's cost without teachers.

    Raises:
        DivergedError: a cost, a weight or a logit is not finite.
        Interrupted: SIGINT or SIGTERM was received; the state was saved first.
    """
    trainer = _Trainer(model, recipe, data, workers or alone(), cost_of=cost_of, begin=begin)
    steps = trainer.steps
    # Once per epoch, but on small datasets no more often than every REPORT_STEPS.
    validation_steps = max(REPORT_STEPS, math.ceil(len(data.train) / recipe.batch_size))
    checkpoints = Checkpoints(run, model, trainer.optimizer, trainer.average)
    position = checkpoints.restore() if resume else Position(step=0, seconds=0.0)
    trainer.synchronize(position.step)

    predict = predict_fn(model, recipe.shards or 1)
    clock = _Clock(position.seconds)
    saved_at = time.monotonic()
    events = run.tensorboard if tensorboard else None
    with signals.deferred() as received, MetricsLog(run.metrics, position.step, events) as log:
        for number, cost, accuracy, signal in trainer.run(position.step, clock, received):
            progress.update(number - 1, cost, accuracy)
            if _is_reported(number, steps):
                log.write(step=number - 1, cost=cost, accuracy=accuracy, seconds=clock.seconds)
            if number % validation_steps == 0 and number != steps:
                with clock:
                    trainer.read()
                score = evaluate(predict, data.validation)
                log.write(step=number, validation_accuracy=score.accuracy)
                progress.validated(number, score.accuracy)
            if signal or time.monotonic() - saved_at >= checkpoint_seconds:
                with clock:
                    trainer.read()
                log.sync()
                checkpoints.save(Position(number, clock.seconds))
                saved_at = time.monotonic()
            if signal:
                trainer.wait()
                raise Interrupted(
                    f"interrupted after step {number} of {steps}; the state is saved; "
                    + run.how_to_resume(model.name),
                    signal,
                )
        trainer.check_weights()
        log.sync()
        checkpoints.save(Position(steps, clock.seconds))
        trainer.average.replace_weights()
        score = evaluate(predict, data.validation)
        log.write(step=steps, validation_accuracy=score.accuracy)
        progress.validated(steps, score.accuracy)
    rate = steps * recipe.batch_size / clock.seconds if clock.seconds else 0.0
    return Training(steps, clock.seconds, rate)


def assist(
    model: keras.Model, recipe: Recipe, data: Dataset, workers: Workers, cost_of: Cost
) -> None:
    """Train ``model`` in place together with the chief, which calls ``train``; write nothing.

    Args:
        model: as for ``train``.
        recipe: as for ``train``.
        data: trains on ``data.train``.
        workers: those that train together.
        cost_of: what the training reduces.

    Raises:
        DivergedError: a cost or a weight is not finite.
        Interrupted: a worker received SIGINT or SIGTERM.
    """
    trainer = _Trainer(model, recipe, data, workers, cost_of=cost_of)
    start = trainer.synchronize(0)
    with signals.deferred() as received:
        for number, _, _, signal in trainer.run(start, _Clock(0.0), received):
            if signal:
                trainer.wait()  # the end of a worker would end the chief before it has saved
                raise Interrupted(f"interrupted after step {number}", signal)
    trainer.check_weights()


class _Trainer:
    """A network in training on one worker, with its optimizer and the average of its weights."""

    def __init__(
        self,
        model: keras.Model,
        recipe: Recipe,
        data: Dataset,
        workers: Workers,
        *,
        cost_of: Cost | None,
        begin: Callable[[], object] | None = None,
    ) -> None:
        self.steps = recipe.total_steps(len(data.train))
        with workers.strategy.scope():
            self.optimizer = make_optimizer(recipe, self.steps)
            self.optimizer.build(model.trainable_variables)
        initialize(model, recipe)
        if begin:
            begin()
        with workers.strategy.scope():
            self.average = WeightAverage(model, self.optimizer, recipe.average)
        self._model, self._recipe, self._data, self._workers = model, recipe, data, workers
        self._train_step = make_train_step(model, self.optimizer, recipe, workers.strategy, cost_of)
        self._on_gpu = on_gpu()

    def synchronize(self, step: int) -> int:
        """Give all workers the chief's state, and return the chief's number of steps done."""
        for owner in (self._model, self.optimizer, self.average):
            self._workers.broadcast_variables(owner.variables)
        return int(self._workers.broadcast(np.array(step)))

    def run(
        self, start: int, clock: _Clock, received: signals.Received
    ) -> Iterator[tuple[int, float, float, int]]:
        """Do the steps from ``start``, and measure their time.

        Yields:
            The number of steps done, the cost and accuracy of the latest batch before its update
            (on a GPU, of the latest that was read), and the number of the signal that this or
            another worker received, or 0.

        Raises:
            DivergedError: the cost is not finite.
        """
        stream = recipe_batches(self._recipe, self._data, start, self.steps)
        cost, accuracy = math.nan, math.nan
        for number, (images, labels) in enumerate(stream, start + 1):
            with clock:
                self._latest = number, self._train_step(images, labels)
                self.average.update()
                signal = self._workers.largest(received.signal)
                # To read the results, the processor waits for a GPU.
                is_first = number == start + 1
                if not self._on_gpu or is_first or _is_reported(number, self.steps):
                    cost, accuracy = self.read()
            yield number, cost, accuracy, signal

    def read(self) -> tuple[float, float]:
        """Wait for the latest step, and return its cost and accuracy.

        Raises:
            DivergedError: the cost is not finite.
        """
        number, results = self._latest
        cost, accuracy = (float(value) for value in results)
        if not math.isfinite(cost):
            raise _diverged(f"the cost became {cost}", number - 1, self._recipe)
        # The shares of the shards may add up to slightly more than 1.
        return cost, min(accuracy, 1.0)

    def wait(self) -> None:
        """Wait until every worker has come here."""
        self._workers.wait()

    def check_weights(self) -> None:
        """Check that the weights are finite.

        The check of the cost misses the last update and the moving variance of batch normalization.

        Raises:
            DivergedError: a weight is not finite.
        """
        for weight in self._model.weights:
            if not np.isfinite(weight).all():
                what = f"the weights {weight.path} are not finite"
                raise _diverged(what, self.steps, self._recipe)


def _is_reported(number: int, steps: int) -> bool:
    """Return whether the step is one of those whose results are logged and printed."""
    return (number - 1) % REPORT_STEPS == 0 or number == steps


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
