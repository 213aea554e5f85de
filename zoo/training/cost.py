"""What a training reduces: how far the logits are from the labels, and from teachers' answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from etils import epy

from zoo.recipes import Recipe

with epy.lazy_imports():
    import keras
    import tensorflow as tf


class Cost:
    """The cross-entropy of the logits with the labels, and with the answers of trained networks.

    Learning from the answers is distillation (G. Hinton et al., *Distilling the Knowledge in a
    Neural Network*, 2015): they also say which wrong classes an image resembles.
    """

    def __init__(self, recipe: Recipe, teachers: Sequence[keras.Model] = ()) -> None:
        self._recipe = recipe
        self._teachers = teachers

    @property
    def may_vanish(self) -> bool:
        """Whether the gradient is zero for an image whose label is certain to the network."""
        return not self._recipe.smoothing and not self._teachers

    def answers(self, images: Any) -> Any:
        """Return the mean probabilities of the teachers, [N, classes]; None without teachers.

        Args:
            images: raw pixels, [N, H, W, C].
        """
        if not self._teachers:
            return None
        logits = [teacher(images, training=False) for teacher in self._teachers]
        each = [tf.nn.softmax(answer / self._recipe.temperature) for answer in logits]
        return tf.add_n(each) / len(each)

    def __call__(self, labels: Any, answers: Any, logits: Any) -> Any:
        """Return the sum of the costs of some images.

        Args:
            labels: [N], integers.
            answers: what ``answers`` returns for the images.
            logits: [N, classes].
        """
        recipe = self._recipe
        if recipe.smoothing:
            each = keras.losses.categorical_crossentropy(
                tf.one_hot(labels, logits.shape[1]),
                logits,
                from_logits=True,
                label_smoothing=recipe.smoothing,
            )
        else:
            each = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
        if answers is not None:
            # The gradient of this part shrinks with the square of the temperature.
            taught = recipe.temperature**2 * keras.losses.categorical_crossentropy(
                answers, logits / recipe.temperature, from_logits=True
            )
            each = (1 - recipe.teaching) * each + recipe.teaching * taught
        return tf.reduce_sum(each)
