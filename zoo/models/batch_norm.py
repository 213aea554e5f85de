"""Batch normalization as one fused operation; Keras' layer takes twice as long in training."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras' ``BatchNormalization`` for images, with TensorFlow's fused kernel in training.

    It has the same weights, configuration and results; inputs must be ``[N, H, W, C]``. Keras saves
    it as ``BatchNormalization``, so a saved model also loads without this module.
    """

    # Keras saves a layer under the module and name of its class.
    __module__ = "keras.layers"

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalize a batch; in training by its statistics, which update the moving averages."""
        if not (training and self.trainable):
            return super().call(inputs, training=False, mask=mask)
        if self.synchronized:  # over several devices; the fused kernel has only its own
            return super().call(inputs, training=True, mask=mask)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=tf.convert_to_tensor(self.gamma),
            offset=tf.convert_to_tensor(self.beta),
            mean=tf.zeros([0]),
            variance=tf.zeros([0]),
            epsilon=self.epsilon,
            exponential_avg_factor=1.0,
            is_training=True,
        )
        # The kernel returns the unbiased variance, Keras averages the biased one.
        count = tf.cast(tf.size(inputs) / inputs.shape[-1], tf.float32)
        variance *= (count - 1) / count
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + value * (1 - self.momentum))
        return outputs


FusedBatchNormalization.__name__ = keras.layers.BatchNormalization.__name__
