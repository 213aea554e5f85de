"""The plots of a run: training curves, confusion matrix, most confident errors, first filters."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from etils import epy

from zoo.data import Dataset
from zoo.metrics import Metrics, confidences
from zoo.runs import Run, records
from zoo.util import atomic

with epy.lazy_imports():
    import keras
    from matplotlib import figure

_MISTAKES = 25
_FILTERS = 64
_MOST_CLASSES_WITH_NUMBERS = 20
_PLAIN: dict[str, Any] = {"parse_math": False}  # the names of classes may contain dollar signs


def save_all(run: Run, model: keras.Model, dataset: Dataset, score: Metrics) -> None:
    """Write the plots of a run into its folder.

    Args:
        run: a run whose training is finished.
        model: its trained network.
        dataset: the dataset it was trained on.
        score: its metrics over ``dataset.test``.
    """
    # On its first start matplotlib logs many lines about fonts that are not needed.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    pictures = {
        run.curves: curves(records.read_metrics(run.metrics)),
        run.confusion: confusion(dataset, score),
        run.mistakes: mistakes(dataset, score),
    }
    if picture := filters(model):
        pictures[run.filters] = picture
    for path, picture in pictures.items():
        with atomic.staged(path) as stage:
            picture.savefig(stage, format="png")


def curves(rows: Sequence[dict[str, float]]) -> figure.Figure:
    """Plot cost and accuracy against the step, from the rows of ``metrics.jsonl``."""
    picture = figure.Figure(figsize=(9, 3.5), dpi=120, layout="constrained")
    left, right = picture.subplots(1, 2)
    batches = [row for row in rows if "cost" in row]
    held = [row for row in rows if "validation_accuracy" in row]
    steps = [row["step"] for row in batches]
    left.semilogy(steps, [row["cost"] for row in batches])
    left.set(xlabel="step", title="batch cost")
    right.plot(steps, [100 * row["accuracy"] for row in batches], label="batch", alpha=0.6)
    right.plot(
        [row["step"] for row in held],
        [100 * row["validation_accuracy"] for row in held],
        "o-",
        label="validation",
    )
    right.set(xlabel="step", title="accuracy, %")
    right.legend()
    return picture


def confusion(dataset: Dataset, score: Metrics) -> figure.Figure:
    """Plot the confusion matrix of the test split."""
    names = dataset.class_names
    counts = np.zeros((len(names), len(names)), np.int64)
    np.add.at(counts, (dataset.test.labels, score.logits.argmax(axis=1)), 1)
    side = max(4.5, 0.45 * min(len(names), _MOST_CLASSES_WITH_NUMBERS) + 1.5)
    picture = figure.Figure(figsize=(side, side), dpi=120, layout="constrained")
    axes = picture.subplots()
    wrong = counts * (1 - np.eye(len(names), dtype=np.int64))
    axes.imshow(wrong, cmap="Reds", vmin=0, vmax=max(1, wrong.max()))
    axes.set(
        xlabel="predicted label",
        ylabel="true label",
        title=f"{score.count - score.correct:,} errors of {score.count:,}",
    )
    if len(names) <= _MOST_CLASSES_WITH_NUMBERS:
        axes.set_xticks(
            range(len(names)), names, rotation=90 * (max(map(len, names)) > 2), **_PLAIN
        )
        axes.set_yticks(range(len(names)), names, **_PLAIN)
        for (row, column), count in np.ndenumerate(counts):
            if count:
                dark = wrong[row, column] > 0.6 * wrong.max() > 0
                axes.text(
                    column,
                    row,
                    f"{count}",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if dark else "black",
                )
    return picture


def mistakes(dataset: Dataset, score: Metrics) -> figure.Figure:
    """Show the test images with the most confident errors, and the confidence of each."""
    guesses = score.logits.argmax(axis=1)
    wrong = np.flatnonzero(guesses != dataset.test.labels)
    labels = dataset.test.labels[wrong]
    margin = score.logits[wrong, guesses[wrong]] - score.logits[wrong, labels]
    confidence = confidences(score.logits)
    # Many errors of an untuned network have a confidence of exactly 1.
    worst = wrong[np.lexsort((-margin, -confidence[wrong]))][:_MISTAKES]
    names = dataset.class_names
    titles = [
        f"true: {names[dataset.test.labels[at]]}\n"
        f"predicted: {names[guesses[at]]} ({100 * confidence[at]:.0f} %)"
        for at in worst
    ]
    return _gallery(dataset.test.images[worst], titles, "most confident errors")


def filters(model: keras.Model) -> figure.Figure | None:
    """Show the kernels of the first layer.

    Those for color images are shown in color; of others, positive weights are red, and negative
    ones blue.

    Return None if they are not images, as those of a dense layer that does not read all pixels.
    """
    first: Any = next((layer for layer in model.layers if hasattr(layer, "kernel")), None)
    kernel = np.asarray(first.kernel if first else ())
    if kernel.ndim == 2 and len(kernel) == math.prod(model.input_shape[1:]):
        kernel = kernel.reshape(*model.input_shape[1:], -1)
    if kernel.ndim != 4:
        return None
    images = np.moveaxis(kernel, -1, 0)[:_FILTERS]
    style: dict[str, Any] = {}
    if kernel.shape[2] == 3:
        images = 0.5 + images / (2 * (np.abs(images).max() or 1))
        colors = "weights of red, green and blue\n0 is grey, positive is brighter"
    else:
        images = images.mean(axis=-1)
        strongest = np.abs(images).max()
        style = {"cmap": "RdBu_r", "vmin": -strongest, "vmax": strongest}
        colors = "positive is red, negative is blue"
    title = f"{len(images)} of {kernel.shape[-1]} filters of {first.name}\n{colors}"
    return _gallery(images, [""] * len(images), title, **style)


def corruptions(
    clean: tuple[np.ndarray, float],
    examples: dict[str, list[np.ndarray]],
    accuracies: dict[str, list[float]],
) -> figure.Figure:
    """Show one image under each corruption and severity, with the accuracy below.

    Args:
        clean: the uncorrupted image, uint8 [H, W, C], and the accuracy without corruption.
        examples: the image at each severity, for each corruption.
        accuracies: the accuracy at each severity, 0..1, for each corruption.
    """
    columns = 1 + max(map(len, examples.values()))
    picture = figure.Figure(
        figsize=(1.15 * columns + 0.4, 1.32 * len(examples) + 0.3), dpi=100, layout="constrained"
    )
    grid = picture.subplots(len(examples), columns, squeeze=False)
    for row, (name, images) in zip(grid, examples.items(), strict=True):
        shown = [clean, *zip(images, accuracies[name], strict=True)]
        for axes, (image, accuracy) in zip(row, shown, strict=True):
            axes.imshow(image, cmap="gray", vmin=0, vmax=255)
            axes.set(xticks=[], yticks=[])
            axes.set_xlabel(f"{100 * accuracy:.1f} %", labelpad=2)
        row[0].set_ylabel(name)
    for severity, axes in enumerate(grid[0]):
        axes.set_title(f"severity {severity}" if severity else "original", fontsize=10)
    return picture


def _gallery(images: np.ndarray, titles: list[str], heading: str, **style: Any) -> figure.Figure:
    columns = max(1, math.ceil(math.sqrt(len(images))))
    rows = max(1, math.ceil(len(images) / columns))
    size = 1.4 if any(titles) else 0.7  # inches
    picture = figure.Figure(
        figsize=(max(3.0, size * columns), size * rows + 0.6), dpi=120, layout="constrained"
    )
    picture.suptitle(heading)
    # All images share one pair of axes: matplotlib takes much longer for a pair for each.
    axes = picture.subplots()
    axes.set_axis_off()
    # Each image is centred in a square with sides of 1.
    height, width = (side / max(images.shape[1:3]) for side in images.shape[1:3])
    gap = 0.1
    above = 0.35 if any(titles) else gap
    for at, (image, title) in enumerate(zip(images, titles, strict=True)):
        row, column = divmod(at, columns)
        left = column * (1 + gap) + (1 - width) / 2
        top = row * (1 + above) + (1 - height) / 2
        grey = {"cmap": "gray"} if image.ndim == 2 or image.shape[-1] == 1 else {}
        axes.imshow(image, extent=(left, left + width, top + height, top), **(grey | style))
        place = (left + width / 2, top - 0.03)
        axes.text(*place, title, ha="center", va="bottom", fontsize=8, **_PLAIN)
    axes.set(xlim=(0, columns * (1 + gap) - gap), ylim=(rows * (1 + above) - above, -above))
    return picture
