"""The step loop: one function that turns a recipe, a network and data into trained weights."""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import numpy as np
from etils import epy

from zoo.data import Dataset, augment
from zoo.data.batches import batches
from zoo.errors import DivergedError, Interrupted
from zoo.metrics import PredictFn, evaluate
from zoo.models import user_modules
from zoo.runs import Run
from zoo.training import shards
from zoo.training.averages import WeightAverage
from zoo.training.checkpoints import Checkpoints, Position
from zoo.training.gradients import choose_gradients
from zoo.training.recipes import Recipe

with epy.lazy_imports():
    import keras
    import tensorflow as tf

REPORT_STEPS = 100
_CHECKPOINT_SECONDS = 60.0


class Progress(Protocol):
    """What shows a person how far a training has come."""

    def update(self, step: int, cost: float, accuracy: float) -> None:
        """Take the cost and accuracy of the batch of ``step``, before its update."""

    def validated(self, step: int, accuracy: float) -> None:
        """Take the validation accuracy after ``step`` steps."""


@dataclass(frozen=True)
class Training:
    """The facts of a finished training.

    Attributes:
        steps: number of the last step.
        seconds: spent on steps, without validation.
        images_per_second: the same as a rate.
        validation_accuracy: of the final weights, 0..1.
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
    resume: bool = False,
    tensorboard: bool = False,
) -> Training:
    """Train ``model`` in place.

    Args:
        model: raw pixels to logits, built with the recipe's precision.
        recipe: how to train.
        data: learns from ``data.train`` and watches ``data.validation``.
        run: receives the metrics and the checkpoints.
        progress: shown each step.
        resume: go on from the run's latest checkpoint, if it has one yet.
        tensorboard: write the metrics as TensorBoard's events too.

    Raises:
        DivergedError: a cost, a weight or a logit is not finite.
        Interrupted: SIGINT or SIGTERM came; the state was saved first.
    """
    steps = recipe.total_steps(len(data.train))
    # Once an epoch, but for tiny sets no more often than a person would read it.
    validation_steps = max(REPORT_STEPS, math.ceil(len(data.train) / recipe.batch_size))
    optimizer = make_optimizer(recipe, steps)
    optimizer.build(model.trainable_variables)
    initialize(model, recipe)
    average = WeightAverage(model, optimizer, recipe.average)
    checkpoints = Checkpoints(run.checkpoints, model, optimizer, average)
    position = checkpoints.restore() if resume else Position(step=0, seconds=0.0)

    parts = shards.count(model, recipe.batch_size)
    train_step = make_train_step(model, optimizer, recipe, parts)
    predict = predict_fn(model, parts)
    clock = _Clock(position.seconds)
    saved_at = time.monotonic()
    events = run.tensorboard if tensorboard else None
    with _signals_noted() as received, _MetricsLog(run.metrics, position.step, events) as log:
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
            if received.signal or time.monotonic() - saved_at > _CHECKPOINT_SECONDS:
                checkpoints.save(Position(number, clock.seconds))
                saved_at = time.monotonic()
            if received.signal:
                going_on = ["python -m zoo.train", model.name, "--resume --out", str(run.folder)]
                raise Interrupted(
                    f"interrupted after step {number} of {steps}; its state is saved: go on with "
                    + " ".join([*going_on, *user_modules.options()]),
                    received.signal,
                )
        # No later cost sees the last update, nor any cost the moving variance of a normalization.
        for weight in model.weights:
            if not np.isfinite(weight).all():
                raise _diverged(f"the weights {weight.path} are not finite", steps, recipe)
        checkpoints.save(Position(steps, clock.seconds))
        average.replace_weights()
        score = evaluate(predict, data.validation)
        log.write(step=steps, validation_accuracy=score.accuracy)
        progress.validated(steps, score.accuracy)
    rate = steps * recipe.batch_size / clock.seconds if clock.seconds else 0.0
    return Training(steps, clock.seconds, rate, score.accuracy)


def _diverged(what: str, step: int, recipe: Recipe) -> DivergedError:
    return DivergedError(
        f"{what} at step {step}; train again with a lower rate than {recipe.learning_rate:g}, "
        "--set learning_rate=RATE"
    )


def make_optimizer(recipe: Recipe, steps: int) -> keras.Optimizer:
    """Return the recipe's optimizer, with its schedule laid over ``steps`` steps."""
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
    if recipe.optimizer == "sgd":
        return keras.optimizers.SGD(rate, momentum=recipe.momentum)
    return keras.optimizers.Adam(rate)


def initialize(model: keras.Model, recipe: Recipe) -> None:
    """Draw every kernel from the recipe's distribution, all from one seed; biases are zero."""
    seed = keras.random.SeedGenerator(recipe.seed)
    normal = keras.initializers.RandomNormal(stddev=1.0, seed=seed)
    he = keras.initializers.HeNormal(seed=seed)
    glorot = keras.initializers.GlorotUniform(seed=seed)
    for layer in model.layers:
        if not hasattr(layer, "kernel"):
            continue
        relu = getattr(layer, "activation", None) is keras.activations.relu
        draw = {"normal": normal, "he": he if relu else glorot, "glorot": glorot}
        layer.kernel.assign(draw[recipe.initializer](layer.kernel.shape))
        if layer.use_bias:
            layer.bias.assign(np.zeros(layer.bias.shape, np.float32))


def make_train_step(
    model: keras.Model, optimizer: keras.Optimizer, recipe: Recipe, parts: int = 1
) -> Callable:
    """Return the compiled step: images and labels in, cost and accuracy before the update out.

    Args:
        model: raw pixels to logits.
        optimizer: built for the model's weights.
        recipe: how to train.
        parts: in how many shards a batch is computed; the step is the same but for rounding.
    """
    kernels = {id(layer.kernel) for layer in model.layers if hasattr(layer, "kernel")}
    of_shard = choose_gradients(model, recipe)

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


def recipe_batches(
    recipe: Recipe, data: Dataset, start: int, steps: int
) -> Iterator[tuple[Any, Any]]:
    """Yield the training batches of the steps ``start`` to ``steps``, augmented."""

    def shifted(images: Any, seed: Any) -> Any:
        return augment.shift(images, seed, recipe.shift)

    return batches(
        data.train,
        batch_size=recipe.batch_size,
        start=start,
        steps=steps,
        seed=recipe.seed,
        shuffle=recipe.shuffle,
        augment=shifted if recipe.shift else None,
    )


def predict_fn(model: keras.Model, parts: int = 1) -> PredictFn:
    """Return the Keras runtime: uint8 images [N, H, W, C] -> float32 logits [N, classes].

    Args:
        model: raw pixels to logits.
        parts: in how many shards the images are computed.
    """
    signature = [tf.TensorSpec([None, *model.input_shape[1:]], tf.uint8)]

    def compiled(parts: int) -> Callable:
        @tf.function(autograph=False, input_signature=signature)
        def forward(images: Any) -> Any:
            found = [model(shard, training=False) for shard in shards.split(images, parts)]
            return tf.concat(found, axis=0)

        return forward

    parted, whole = compiled(parts), compiled(1)
    # No shard may be empty.
    return lambda images: (parted if len(images) >= parts else whole)(tf.constant(images)).numpy()


class _Clock:
    """Seconds spent within ``with clock:``, on top of those of an earlier process."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __enter__(self) -> None:
        self._entered = time.perf_counter()

    def __exit__(self, *exception: object) -> None:
        self.seconds += time.perf_counter() - self._entered


class _MetricsLog:
    """``metrics.jsonl``, cut back to the step from which a training goes on."""

    def __init__(self, path: Path, start: int, events: Path | None) -> None:
        self._events = tf.summary.create_file_writer(str(events)) if events else None
        kept = path.read_text(encoding="utf-8").splitlines() if start else []
        self._file = path.open("w", encoding="utf-8", buffering=1)
        for line in kept:
            # A kill may have cut the last line short.
            if line.endswith("}") and json.loads(line)["step"] < start:
                self._file.write(line + "\n")

    def write(self, *, step: int, **values: float) -> None:
        self._file.write(json.dumps({"step": step} | values, allow_nan=False) + "\n")
        if self._events is not None:
            # tf.summary.scalar would need TensorBoard itself; this is what it writes.
            scalar = tf.compat.v1.SummaryMetadata(
                plugin_data={"plugin_name": "scalars"}, data_class="DATA_CLASS_SCALAR"
            )
            with self._events.as_default(step):
                for name, value in values.items():
                    tf.summary.write(name, tf.constant(value, tf.float32), metadata=scalar)

    def __enter__(self) -> _MetricsLog:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()
        if self._events is not None:
            self._events.close()


@dataclass
class _Received:
    signal: int = field(default=0)


@contextmanager
def _signals_noted() -> Iterator[_Received]:
    """Note SIGINT or SIGTERM instead of dying of it; a second one acts as it always does."""
    received = _Received()

    def note(number: int, frame: FrameType | None) -> None:
        received.signal = number
        for name, handler in previous.items():
            signal.signal(name, handler)

    previous = {name: signal.signal(name, note) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for name, handler in previous.items():
            signal.signal(name, handler)
