"""The exponential moving average of a network's weights during training."""

from __future__ import annotations

from etils import epy

with epy.lazy_imports():
    import keras
    import tensorflow as tf


class WeightAverage:
    """An exponential moving average of weights, with a smaller decay in the first steps.

    The decay of step ``t`` is ``min(decay, (1 + t) / (10 + t))``, which removes the influence of
    the initial weights: a short training averages about its last tenth, a long one about the last
    ``1 / (1 - decay)`` steps. The moving mean and variance of batch normalization are averaged too,
    to match the averaged kernels; recomputing them from training batches gave the same accuracy.

    Attributes:
        variables: the averages, which a checkpoint must contain; empty if the decay is 0.
    """

    def __init__(self, model: keras.Model, optimizer: keras.Optimizer, decay: float) -> None:
        """Start with the current weights, in the scope of the strategy that created them.

        Args:
            model: the network whose weights are averaged.
            optimizer: its iteration count is the step ``t``.
            decay: maximum share of the average that one step keeps; 0 disables averaging.
        """
        # Whole numbers, such as the counter of a Normalization, have no average.
        floats = [each for each in model.weights if keras.backend.is_float_dtype(each.dtype)]
        self._weights = [weight.value for weight in floats] if decay else []
        average = tf.train.ExponentialMovingAverage(decay, optimizer.iterations.value)
        strategy = tf.distribute.get_strategy()

        @tf.function(autograph=False)
        def apply() -> None:
            # Outside of the scope TensorFlow would average over replicas, which are equal.
            with strategy.scope():
                average.apply(self._weights)

        self._apply = apply
        average.apply(self._weights)  # creates the variables
        self.variables = [average.average(weight) for weight in self._weights]

    def update(self) -> None:
        """Update the averages with the weights after a step."""
        if self.variables:
            self._apply()

    def replace_weights(self) -> None:
        """Replace the network's weights with their averages."""
        for weight, average in zip(self._weights, self.variables, strict=True):
            weight.assign(average)
