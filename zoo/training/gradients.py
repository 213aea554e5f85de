"""The gradients of a batch's cost: sent back from every image, or from those alone that have any.

Between logits that lie hundreds of thousands apart, as N(0, 1) weights make them, softmax is one
and zero: the cost of an image that is right is exactly zero, and so is its gradient. To
send zeros back through a network is two thirds of a step's work, and changes no weight.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from etils import epy

from zoo.training.recipes import Recipe

with epy.lazy_imports():
    import keras
    import tensorflow as tf

Activation = Callable[[Any], Any]

# Of a model, images, their labels and the size of their whole batch.
Gradients = Callable[[Any, Any, Any, Any], tuple[Any, Any, list]]


def choose_gradients(model: keras.Model, recipe: Recipe) -> Gradients:
    """Return the function that finds a recipe's gradients with the least work.

    Args:
        model: raw pixels to logits.
        recipe: its initialisation tells how far apart the logits are.
    """
    # Images cannot be computed anew where chance or the rest of the batch has a say.
    varying = (keras.layers.BatchNormalization, keras.layers.Dropout)
    varies = any(isinstance(layer, varying) for layer in model.layers)
    return (
        backpropagate_nonzero
        if recipe.initializer == "normal" and not varies
        else backpropagate_all
    )


def backpropagate_all(
    model: keras.Model, images: Any, labels: Any, batch_size: Any
) -> tuple[Any, Any, list]:
    """Return cost, accuracy and the gradients of the weights, all images sent back.

    Args:
        model: raw pixels to logits.
        images: [N, H, W, C], some or all of a batch.
        labels: [N], whole numbers.
        batch_size: images in the whole batch; what is returned are these images' shares.
    """
    with tf.GradientTape() as tape:
        logits = model(images, training=True)
        cost = _cost(labels, logits) / batch_size
    gradients = tape.gradient(cost, model.trainable_variables)
    return cost, _right(labels, logits) / batch_size, gradients


def backpropagate_nonzero(
    model: keras.Model, images: Any, labels: Any, batch_size: Any
) -> tuple[Any, Any, list]:
    """Return what ``backpropagate_all`` does, but for rounding; skip images whose gradient is zero.

    What the others' layers gave is known, and not computed again to be sent back through.
    """
    outputs = []

    def noting(activation: Activation) -> Activation:
        def noted(computed: Any) -> Any:
            outputs.append(activation(computed))
            return outputs[-1]

        return noted

    def recalling(activation: Activation) -> Activation:
        # Of an output, ReLU gives this output again, and the gradient is the same.
        return lambda computed: activation(_known(tf.gather(outputs.pop(0), at), computed))

    with _activations(model, noting):
        logits = model(images, training=True)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        cost = _cost(labels, logits) / batch_size
    of_logits = tape.gradient(cost, logits)
    some = tf.cast(tf.reduce_any(of_logits != 0, axis=1), tf.int32)
    # Where none has a gradient one goes along: oneDNN refuses an empty batch.
    at = tf.math.top_k(some, k=tf.maximum(1, tf.reduce_sum(some))).indices
    with tf.GradientTape() as tape, _activations(model, recalling):
        again = model(tf.gather(images, at), training=True)
    gradients = tape.gradient(
        again, model.trainable_variables, output_gradients=tf.gather(of_logits, at)
    )
    return cost, _right(labels, logits) / batch_size, gradients


@contextlib.contextmanager
def _activations(model: keras.Model, change: Callable[[Activation], Activation]) -> Iterator[None]:
    """Have the layers that end in ReLU, or in no activation, end in another meanwhile."""
    kinds = (keras.activations.relu, keras.activations.linear)
    found = [layer for layer in model.layers if getattr(layer, "activation", None) in kinds]
    before = [layer.activation for layer in found]
    try:
        for layer, activation in zip(found, before, strict=True):
            layer.activation = change(activation)
        yield
    finally:
        for layer, activation in zip(found, before, strict=True):
            layer.activation = activation


def _known(value: Any, computed: Any) -> Any:
    """Return a value with the gradient of how it is computed, which a graph then leaves out."""

    @tf.custom_gradient
    def known(computed: Any) -> Any:
        return tf.identity(value), lambda gradient: gradient

    return known(computed)


def _cost(labels: Any, logits: Any) -> Any:
    """Return the cross-entropy of all images together."""
    each = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    return tf.reduce_sum(each)


def _right(labels: Any, logits: Any) -> Any:
    """Return how many images have their label's logit highest."""
    right = tf.equal(tf.argmax(logits, axis=1, output_type=labels.dtype), labels)
    return tf.reduce_sum(tf.cast(right, tf.float32))
