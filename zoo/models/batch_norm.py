"""Batch normalisation as one operation; Keras' layer trains with many, and takes twice as long."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras' layer for images, computed by TensorFlow's fused kernel while it trains.

    Same weights, same configuration and same result; takes ``[N, H, W, C]`` alone. Keras saves it
    as its own layer, so a saved model loads where this module is not installed.
    """

    # Keras saves a layer under the module and name of its class.
    __module__ = "keras.layers"

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalise by the batch's own mean and variance, and keep their moving averages."""
        if not (training and self.trainable):
            return super().call(inputs, training=False, mask=mask)
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
        # The kernel gives the variance of a sample, Keras keeps that of the batch.
        count = tf.cast(tf.size(inputs) / inputs.shape[-1], tf.float32)
        variance *= (count - 1) / count
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + value * (1 - self.momentum))
        return outputs


FusedBatchNormalization.__name__ = keras.layers.BatchNormalization.__name__
