"""Choose the test images that the web page shows: the worst errors, and others at random."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from zoo.data import Dataset
from zoo.metrics import Metrics, confidences

DEFAULT = 300
"""Number of images of a public dataset."""


def gallery(
    dataset: Dataset, reference: Metrics, count: int | None = None
) -> dict[str, Any] | None:
    """Return test images as JSON values, None without any.

    Args:
        dataset: the images are those of its ``test`` split.
        reference: metrics of the Keras network on them.
        count: number of images, of which at most half are errors; None for the default, which is 0
            for a folder of pictures, since they may be private.

    Returns:
        ``source``, dataset and licence in one line; ``errors``, how many of the images the network
        classifies wrongly, which come first, the most confident first; ``labels`` and
        ``predicted``, class numbers; ``images_base64``, the uint8 pixels.
    """
    if count is None:
        count = DEFAULT if dataset.homepage else 0
    if not count:
        return None
    test, predicted = dataset.test, reference.logits.argmax(axis=1)
    confidence = confidences(reference.logits)
    wrong = np.flatnonzero(predicted != test.labels)
    errors = wrong[np.argsort(-confidence[wrong], kind="stable")][: count // 2]
    right = np.flatnonzero(predicted == test.labels)
    others = np.random.default_rng(0).permutation(right)[: count - len(errors)]
    chosen = np.concatenate([errors, others])
    licence = f", {dataset.licence}" if dataset.licence else ""
    return {
        "source": f"{len(chosen)} images of the test split of {dataset.name}{licence}",
        "errors": len(errors),
        "labels": test.labels[chosen].tolist(),
        "predicted": predicted[chosen].tolist(),
        "images_base64": base64.b64encode(test.images[chosen].tobytes()).decode("ascii"),
    }
