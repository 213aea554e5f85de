"""Contestants of the training benchmarks: the zoo's training loop, Keras ``fit`` and PyTorch.

python -m tools.bench.trainers zoo|keras|torch PRECISION [compiled]

A course is ``BATCH SHIFT [RECIPE]``: the batch size, the maximum shift of the images in pixels, and
the zoo's recipe whose optimizer is used. Each measurement is in images per second.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from etils import epy

from tools.bench.race import serve
from tools.bench.steps import training_step
from zoo import data, recipes
from zoo.models import registry
from zoo.training import loop, parallelism
from zoo.util import backend

with epy.lazy_imports():
    import keras
    import torch
    from torch import nn

_IMAGES = 400  # per measurement, about one second

Turn = Callable[[int], float]
"""Trains on one warm-up batch and the given number of batches; returns the latter's seconds."""


def zoo_loop(precision: str) -> Callable[[int, int, str], Turn]:
    """Return a function that sets up the zoo's training loop."""
    backend.start_tensorflow()
    parallelism.prepare(recipes.get_recipe("quick"), ["ltfn5"])
    dataset = data.load("mnist", offline=True)

    def start(batch: int, shift: int, name: str) -> Turn:
        recipe = recipes.get_recipe(name).replace(
            batch_size=batch, shift=shift, precision=precision, steps=1_000_000
        )
        step = training_step(recipe)
        stream = loop.recipe_batches(recipe, dataset, 0, 1_000_000)

        def turn(steps: int) -> float:
            ends = []
            for _ in range(steps + 1):
                cost, accuracy = step(*next(stream))
                float(cost), float(accuracy)
                ends.append(time.perf_counter())
            return ends[-1] - ends[0]

        return turn

    return start


def keras_fit(precision: str) -> Callable[[int, int, str], Turn]:
    """Return a function that sets up Keras: the same network, ``compile`` and ``fit`` on arrays."""
    backend.start_tensorflow()
    train = data.load("mnist", offline=True).train
    images, labels = np.array(train.images), train.labels

    class Clock(keras.callbacks.Callback):
        """Records when each batch ends, so that the setup time of ``fit`` is excluded."""

        def on_train_begin(self, logs: Any = None) -> None:
            self.ends: list[float] = []

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.ends.append(time.perf_counter())

    def start(batch: int, shift: int, name: str) -> Turn:
        recipe = recipes.get_recipe(name)
        network = registry.create_model("ltfn5", precision=precision)
        if shift:
            share = shift / 28
            image = keras.Input((28, 28, 1), dtype="uint8")
            moved = keras.layers.RandomTranslation(
                share, share, fill_mode="constant", interpolation="nearest", dtype="float32"
            )(image)
            network = keras.Model(image, network(moved))
        kinds = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}
        network.compile(
            kinds[recipe.optimizer](recipe.learning_rate),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        clock = Clock()

        def turn(steps: int) -> float:
            count = (steps + 1) * batch
            network.fit(
                images[:count], labels[:count], batch_size=batch, verbose=0, callbacks=[clock]
            )
            return clock.ends[-1] - clock.ends[0]

        return turn

    return start


def pytorch(precision: str, *, compiled: bool = False) -> Callable[[int, int, str], Turn]:
    """Return a function that sets up PyTorch: the same network, channels last, with autocast."""
    train = data.load("mnist", offline=True).train
    images, labels = torch.from_numpy(np.array(train.images)), torch.from_numpy(train.labels)

    def convolution(inputs: int, filters: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(inputs, filters, 3, padding=1), nn.ReLU())

    def batches(batch: int, shift: int) -> Iterator[tuple[Any, Any]]:
        while True:
            for chosen in torch.randperm(len(images)).split(batch):
                if len(chosen) < batch:
                    continue
                pixels = images[chosen].permute(0, 3, 1, 2).float() / 255
                if shift:
                    padded = nn.functional.pad(pixels, [shift] * 4)
                    top, left = np.random.default_rng().integers(0, 2 * shift + 1, (2, batch))
                    pixels = torch.stack(
                        [
                            image[:, y : y + 28, x : x + 28]
                            for image, y, x in zip(padded, top, left, strict=True)
                        ]
                    )
                yield pixels.to(memory_format=torch.channels_last), labels[chosen]

    def start(batch: int, shift: int, name: str) -> Turn:
        recipe = recipes.get_recipe(name)
        network: Any = nn.Sequential(
            *(convolution(1, 64), convolution(64, 64), nn.MaxPool2d(2)),
            *(convolution(64, 128), convolution(128, 128), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(6272, 10)),
        ).to(memory_format=torch.channels_last)
        kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
        optimizer = kinds[recipe.optimizer](network.parameters(), lr=recipe.learning_rate)
        forward = torch.compile(network) if compiled else network
        stream = batches(batch, shift)

        def turn(steps: int) -> float:
            ends = []
            for _ in range(steps + 1):
                pixels, answers = next(stream)
                with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
                    cost = nn.functional.cross_entropy(forward(pixels).float(), answers)
                optimizer.zero_grad()
                cost.backward()
                optimizer.step()
                cost.item()
                ends.append(time.perf_counter())
            return ends[-1] - ends[0]

        return turn

    return start


def main(kind: str, precision: str, *options: str) -> None:
    """Serve the measurements of one contestant."""
    if kind == "torch":
        start = pytorch(precision, compiled="compiled" in options)
    else:
        start = {"zoo": zoo_loop, "keras": keras_fit}[kind](precision)

    @functools.cache
    def started(course: str) -> tuple[Turn, int]:
        batch, shift, *recipe = course.split()
        return start(int(batch), int(shift), *(recipe or ["adam"])), int(batch)

    def measure(course: str) -> float:
        turn, batch = started(course)
        steps = max(3, round(_IMAGES / batch))
        return steps * batch / turn(steps)

    serve(measure)


if __name__ == "__main__":
    main(*sys.argv[1:])
