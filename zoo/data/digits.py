"""The embedded dataset: 1,797 real handwritten digits that need no download.

Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository, 1998, CC BY 4.0, as distributed with scikit-learn.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from zoo.data.splits import assign_splits


def _like_mnist(images: np.ndarray) -> np.ndarray:
    """Convert 8x8 images of 0..16 to 28x28x1 images of 0..255, with the digit in the middle 20x20.

    Args:
        images: uint8 [N, 8, 8].

    Returns:
        uint8 [N, 28, 28, 1].
    """
    pixels = tf.image.resize(images[..., None] * (255 / 16), (20, 20), method="bicubic")
    pixels = tf.cast(tf.round(tf.clip_by_value(pixels, 0, 255)), tf.uint8)
    return tf.pad(pixels, [[0, 0], [4, 4], [4, 4], [0, 0]]).numpy()


class Digits(tfds.core.GeneratorBasedBuilder):
    """Handwritten digits by 13 writers, 28x28 grey, in fixed disjoint stratified splits."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            description="The UCI optical recognition digits, scaled up to resemble MNIST.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(28, 28, 1), dtype=np.uint8),
                    "label": tfds.features.ClassLabel(names=[str(digit) for digit in range(10)]),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="https://doi.org/10.24432/C50P49",
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        with (files("zoo.data") / "digits.npz").open("rb") as file, np.load(file) as arrays:
            images, labels = _like_mnist(arrays["images"]), arrays["labels"]
        parts = assign_splits(labels, ["train"])
        return {
            split: self._generate_examples(np.flatnonzero(parts == split), images, labels)
            for split in ("train", "validation", "test")
        }

    def _generate_examples(
        self, indices: np.ndarray, images: np.ndarray, labels: np.ndarray
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        for index in indices:
            yield int(index), {"image": images[index], "label": int(labels[index])}
