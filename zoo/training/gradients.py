"""The gradients of a batch: backpropagate all images, or only those with a nonzero gradient.

With N(0, 1) weights the logits differ by hundreds of thousands, so softmax returns exactly one and
zero: the cost of a correctly classified image is exactly zero, and so is its gradient.
Backpropagating such zeros is two thirds of a step's work, and changes no weight.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from etils import epy

from zoo.recipes import Recipe
from zoo.training.cost import Cost

with epy.lazy_imports():
    import keras
    import tensorflow as tf

# Takes model, cost, images, labels and whole batch size; returns cost, accuracy and gradients.
Gradients = Callable[[Any, Cost, Any, Any, Any], tuple[Any, Any, list]]


def choose_gradients(model: keras.Model, recipe: Recipe, cost_of: Cost) -> Gradients:
    """Return the function that computes the recipe's gradients fastest.

    Args:
        model: raw pixels to logits.
        recipe: its initializer determines how far apart the logits are.
        cost_of: what the gradients reduce.
    """
    # Only a model without any state, such as batch statistics or the seed of a dropout, computes
    # the same when it computes some of the images again.
    is_stateless = not model.non_trainable_variables
    if recipe.initializer == "normal" and is_stateless and cost_of.may_vanish:
        return backpropagate_nonzero
    return backpropagate_all


def backpropagate_all(
    model: keras.Model, cost_of: Cost, images: Any, labels: Any, batch_size: Any
) -> tuple[Any, Any, list]:
    """Return cost, accuracy and the gradients of the weights; backpropagate all images.

    Args:
        model: raw pixels to logits.
        cost_of: what the gradients reduce.
        images: [N, H, W, C], some or all of a batch.
        labels: [N], integers.
        batch_size: images in the whole batch; the results are these images' shares of its means.
    """
    answers = cost_of.answers(images)
    with tf.GradientTape() as tape:
        logits = model(images, training=True)
        cost = cost_of(labels, answers, logits) / batch_size
    gradients = tape.gradient(cost, model.trainable_variables)
    return cost, _correct_count(labels, logits) / batch_size, gradients


def backpropagate_nonzero(
    model: keras.Model, cost_of: Cost, images: Any, labels: Any, batch_size: Any
) -> tuple[Any, Any, list]:
    """Return the same as ``backpropagate_all``, up to rounding; skip images with zero gradient.

    Images with a nonzero gradient go forward twice, so this is slower if they are more than two
    thirds of the batch.
    """
    logits = model(images, training=True)
    answers = cost_of.answers(images)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        cost = cost_of(labels, answers, logits) / batch_size
    logit_gradients = tape.gradient(cost, logits)
    nonzero = tf.cast(tf.reduce_any(logit_gradients != 0, axis=1), tf.int32)
    # At least one image is kept, because oneDNN rejects an empty batch.
    indices = tf.math.top_k(nonzero, k=tf.maximum(1, tf.reduce_sum(nonzero))).indices
    with tf.GradientTape() as tape:
        again = model(tf.gather(images, indices), training=True)
    gradients = tape.gradient(
        again, model.trainable_variables, output_gradients=tf.gather(logit_gradients, indices)
    )
    return cost, _correct_count(labels, logits) / batch_size, gradients


def _correct_count(labels: Any, logits: Any) -> Any:
    """Return the number of correctly classified images."""
    right = tf.equal(tf.argmax(logits, axis=1, output_type=labels.dtype), labels)
    return tf.reduce_sum(tf.cast(right, tf.float32))
