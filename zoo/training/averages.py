"""The moving average of a network's weights over its training steps."""

from __future__ import annotations

from etils import epy

with epy.lazy_imports():
    import keras
    import tensorflow as tf


class WeightAverage:
    """An exponential moving average that does not remember the initial weights.

    The decay of step ``t`` is ``min(decay, (1 + t) / (10 + t))``: a short training averages about
    its last tenth, a long one as ``decay`` says. The moving mean and variance of a batch
    normalization are averaged too, so that they fit the averaged kernels; computing them again
    from training batches gave the same accuracy.

    Attributes:
        variables: the averages, which a checkpoint has to keep; none without a decay.
    """

    def __init__(self, model: keras.Model, optimizer: keras.Optimizer, decay: float) -> None:
        """Begin with the present weights.

        Args:
            model: its weights are averaged.
            optimizer: its number of iterations is the step.
            decay: largest share of the average that one step keeps; 0 averages nothing.
        """
        self._weights = [weight.value for weight in model.weights] if decay else []
        average = tf.train.ExponentialMovingAverage(decay, optimizer.iterations.value)

        @tf.function(autograph=False)
        def apply() -> None:
            average.apply(self._weights)

        self._apply = apply
        average.apply(self._weights)  # creates the variables
        self.variables = [average.average(weight) for weight in self._weights]

    def update(self) -> None:
        """Add the weights after a step to the average."""
        if self.variables:
            self._apply()

    def replace_weights(self) -> None:
        """Set the network's weights to their averages."""
        for weight, average in zip(self._weights, self.variables, strict=True):
            weight.assign(average)
