"""A dataset of any size that is made on the spot and is small on the disk: gratings.

    python -m zoo.train ltfn1 --import tools.gratings --data gratings/million

Importing this module registers it in tensorflow-datasets.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

_CLASSES = 10
_DISTINCT = 1_000


@dataclasses.dataclass(eq=False)
class Size(tfds.core.BuilderConfig):
    """How many pictures of how many pixels.

    Attributes:
        count: pictures of the train split, the only one.
        side: their height and width.
    """

    count: int = 0
    side: int = 0


class Gratings(tfds.core.GeneratorBasedBuilder):
    """Black and white gratings in ten directions: a thousand pictures, again and again."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = (
        Size(name="million", description="larger than the memory", count=1_000_000, side=96),
        Size(name="thousands", description="for tests", count=6_000, side=256),
    )

    def _info(self) -> tfds.core.DatasetInfo:
        side = self.builder_config.side
        return tfds.core.DatasetInfo(
            builder=self,
            description="Gratings in ten directions.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(side, side, 1), dtype=np.uint8),
                    "label": tfds.features.ClassLabel(num_classes=_CLASSES),
                }
            ),
            supervised_keys=("image", "label"),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        return {"train": self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
        size = self.builder_config
        rng = np.random.default_rng(0)
        pictures = [
            _grating(size.side, np.pi * (number % _CLASSES) / _CLASSES, rng.uniform(0, 2 * np.pi))
            for number in range(_DISTINCT)
        ]
        for number in range(size.count):
            which = number % _DISTINCT
            yield number, {"image": pictures[which], "label": which % _CLASSES}


def _grating(side: int, angle: float, phase: float) -> bytes:
    """Return a PNG file of a grating in a direction."""
    y, x = np.mgrid[:side, :side]
    waves = np.sin((x * np.cos(angle) + y * np.sin(angle)) / 4 + phase)
    return tf.io.encode_png(np.where(waves > 0, 255, 0).astype(np.uint8)[..., None]).numpy()
