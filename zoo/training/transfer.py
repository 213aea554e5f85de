"""Begin a training with trained weights, and keep the first layers as they are."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from etils import epy

from zoo.errors import InputError, unknown
from zoo.pretrained import copy_weights, run_of
from zoo.runs import Run, load_model
from zoo.weights import released, released_folder

with epy.lazy_imports():
    import keras
    from keras import layers


def start_from(
    model: str, weights: str | Path | None, freeze: str | None = None
) -> dict[str, Any] | None:
    """Return the record of the trained weights that a training begins with; None for new weights.

    Args:
        model: name of the network.
        weights: the dataset of weights in the package, such as ``mnist``, or a run folder.
        freeze: the last of the layers that are not trained; None to train all.

    Raises:
        InputError: there are no such weights, or layers to freeze but no weights.
    """
    if weights is None:
        if freeze is not None:
            raise InputError("--freeze keeps trained layers; give them with --weights")
        return None
    run = run_of(model, weights)
    is_in_package = run.folder == released_folder(model)
    place = released()[model]["dataset"] if is_in_package else os.path.abspath(run.folder)
    return {
        "weights": place,
        "sha256": run.read_result()["weights"]["sha256"],
        "freeze": freeze,
    }


def source_of(model: str, start: dict[str, Any]) -> Run:
    """Return the run whose weights a training begins with.

    Raises:
        InputError: it is not there, or has other weights than when the training began.
    """
    run = run_of(model, start["weights"])
    run.check_weights(start["sha256"])
    return run


def beginning(
    network: keras.Model, start: dict[str, Any], class_names: Sequence[str], polarity: str
) -> Callable[[], None]:
    """Return a function that gives a network the weights that a training begins with.

    If the weights are for other classes, the last layer keeps its own.

    Args:
        network: the network to train.
        start: the record of ``start_from``.
        class_names: the classes of its dataset.
        polarity: how its images were prepared (``zoo/data/preprocessing.py``).

    Raises:
        InputError: the weights are not there, have changed, or do not fit.
    """
    source = load_model(source_of(network.name, start).folder)
    new_head = source.class_names != tuple(class_names)
    begin = partial(copy_weights, source, network, new_head=new_head)
    begin()
    head = "a new last layer, because the classes are others" if new_head else "all layers"
    print(f"{network.name} begins with the weights of {start['weights']}, and {head}")
    if (trained := source.preprocessing.polarity) != polarity:
        print(
            f"note: the weights learned from images with polarity {trained}, but these have "
            f"{polarity}; prepare them in the same way (docs/pictures.md)"
        )
    return begin


def freeze(network: keras.Model, last: str | None) -> None:
    """Train only the layers after the named one, and after its normalization.

    Raises:
        InputError: there is no such layer, or no layer with weights after it.
    """
    if last is None:
        return
    names = [layer.name for layer in network.layers]
    if last not in names:
        raise unknown(f"layer of {network.name}", last, names)
    after = names.index(last) + 1
    while after < len(names) and isinstance(network.layers[after], layers.BatchNormalization):
        after += 1
    for layer in network.layers[:after]:
        layer.trainable = False
    if not network.trainable_variables:
        raise InputError(f"--freeze {last} leaves no layer of {network.name} to train")
