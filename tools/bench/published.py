"""Train a published MNIST example, rewritten from its description, to 99 % test accuracy.

python -m tools.bench.published keras|torch [WITHIN]

``keras`` is the network and recipe of keras.io's ``mnist_convnet``: two convolutions of 32 and 64
filters, each followed by max pooling, dropout of 0.5, Adam, batches of 128, at most 15 epochs with
10 % held out. ``torch`` is that of pytorch/examples' ``mnist``: the same convolutions before one
pooling, two dense layers, dropout, Adadelta with a learning rate of 1.0 that is multiplied by 0.7
after each epoch, batches of 64, at most 14 epochs.

The test images are scored after each epoch. The last line printed contains the seconds that the
scoring took, which is not part of the recipe, and the accuracy. With ``WITHIN``, training stops
before the next epoch if that would end more than ``WITHIN`` seconds after the start. The end is
predicted from the fastest epoch so far, and the time of the scoring is not counted.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
from etils import epy

from zoo import data
from zoo.util import backend

with epy.lazy_imports():
    import keras
    import torch
    from keras import layers
    from torch import nn

WANTED = 0.99


def keras_example() -> Iterator[Callable[[], float]]:
    """Train the Keras example; yield a function that returns the test accuracy after each epoch."""
    backend.start_tensorflow()
    dataset = data.load("mnist", offline=True)
    images = np.concatenate([dataset.train.images, dataset.validation.images]) / np.float32(255)
    labels = np.concatenate([dataset.train.labels, dataset.validation.labels])
    test = dataset.test.images / np.float32(255)
    network = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )
    network.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    one_hot = keras.utils.to_categorical(labels, 10)

    def score() -> float:
        answers = network.predict(test, verbose=0).argmax(axis=1)
        return float(np.mean(answers == dataset.test.labels))

    for epoch in range(15):
        network.fit(
            images,
            one_hot,
            batch_size=128,
            validation_split=0.1,
            initial_epoch=epoch,
            epochs=epoch + 1,
            verbose=0,
        )
        yield score


def pytorch_example() -> Iterator[Callable[[], float]]:
    """Train PyTorch's example; yield a function that returns the test accuracy after each epoch."""
    dataset = data.load("mnist", offline=True)

    def normal(images: np.ndarray) -> torch.Tensor:
        pixels = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float() / 255
        return (pixels - 0.1307) / 0.3081

    images = torch.cat([normal(dataset.train.images), normal(dataset.validation.images)])
    labels = torch.from_numpy(np.concatenate([dataset.train.labels, dataset.validation.labels]))
    test = normal(dataset.test.images)
    network = nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU()),
        *(nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten()),
        *(nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)),
    )
    optimizer = torch.optim.Adadelta(network.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)

    def score() -> float:
        network.eval()
        with torch.no_grad():
            answers = torch.cat([network(part).argmax(dim=1) for part in test.split(1_000)])
        network.train()
        return float(np.mean(answers.numpy() == dataset.test.labels))

    for _ in range(14):
        for chosen in torch.randperm(len(images)).split(64):
            cost = nn.functional.cross_entropy(network(images[chosen]), labels[chosen])
            optimizer.zero_grad()
            cost.backward()
            optimizer.step()
        schedule.step()
        yield score


def main(kind: str, within: str = "inf") -> None:
    """Train one example until it reaches 99 % or ends its last epoch, and print the result.

    It also stops before an epoch that would end after ``within`` seconds, without the scoring.
    """
    scoring, accuracy, fastest = 0.0, 0.0, float("inf")
    start = begin = time.perf_counter()
    for score in {"keras": keras_example, "torch": pytorch_example}[kind]():
        end = time.perf_counter()
        fastest = min(fastest, end - begin)
        accuracy = score()
        begin = time.perf_counter()
        scoring += begin - end
        print(f"test accuracy {accuracy}", file=sys.stderr)
        if accuracy >= WANTED or begin - start - scoring + fastest > float(within):
            break
    print(f"{scoring} {accuracy}")


if __name__ == "__main__":
    main(*sys.argv[1:])
