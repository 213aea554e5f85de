"""The twelve networks of "Striving for Simplicity: The All Convolutional Net".

J. T. Springenberg, A. Dosovitskiy, T. Brox, M. Riedmiller, ICLR 2015 workshop, arXiv:1412.6806,
tables 1 and 2: three base networks for 32x32 color images, A, B and C, each in four variants:

- ``cnn``: the base network, with max pooling;
- ``strided-cnn``: no pooling; the convolution before each pooling layer has stride 2 instead;
- ``all-cnn``: each pooling layer is replaced by a 3x3 convolution with stride 2;
- ``convpool-cnn``: the control for ``all-cnn``, with as many convolutions, but all of stride 1,
  and max pooling.

The paper states about 1.3 M parameters for base C, which contradicts its own layer table: the
counts here follow the layers. The paper whitens its images; here they are scaled to 0..1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from etils import epy

from zoo.models.registry import Build, register_model

with epy.lazy_imports():
    import keras
    from keras import layers


def _register(**facts: Any) -> Callable[[Build], Build]:
    return register_model(
        input_shape=(32, 32, 3),
        classes=10,
        origin="Striving for Simplicity: The All Convolutional Net",
        **facts,
    )


def _begin(input_shape: tuple[int, int, int]) -> tuple[Any, Any]:
    image = keras.Input(input_shape, name="image")
    x = layers.Rescaling(1 / 255, name="scale")(image)
    return image, layers.Dropout(0.2, name="drop0")(x)


def _conv(x: Any, filters: int, size: int, name: str, strides: int = 1) -> Any:
    return layers.Conv2D(
        filters, size, strides=strides, padding="same", activation="relu", name=name
    )(x)


def _pool(x: Any, name: str) -> Any:
    return layers.MaxPooling2D(pool_size=3, strides=2, padding="same", name=name)(x)


def _drop(x: Any, name: str) -> Any:
    return layers.Dropout(0.5, name=name)(x)


def _end(image: Any, x: Any, classes: int, name: str) -> keras.Model:
    """Add the head of all variants: 8x8x192 -> 6x6x192 -> 6x6xclasses, averaged to logits."""
    x = layers.Conv2D(192, 3, padding="valid", activation="relu", name="head1")(x)
    x = layers.Conv2D(192, 1, activation="relu", name="head2")(x)
    # As in the paper's tables, a ReLU follows the class scores before they are averaged.
    x = layers.Conv2D(classes, 1, activation="relu", dtype="float32", name="head3")(x)
    logits = layers.GlobalAveragePooling2D(dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name=name)


@_register(
    parameters=839_242,
    multiply_adds=138_677_760,
    largest_activation=393_216,
    smallest=9,
)
def cnn_a(input_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Base A: one 5x5 convolution before each pooling layer."""
    image, x = _begin(input_shape)
    x = _conv(x, 96, 5, "conv1")
    x = _pool(x, "pool1")
    x = _drop(x, "drop1")
    x = _conv(x, 192, 5, "conv2")
    x = _pool(x, "pool2")
    x = _drop(x, "drop2")
    return _end(image, x, classes, "cnn-a")


@_register(
    parameters=839_242,
    multiply_adds=44_674_560,
    largest_activation=98_304,
    smallest=9,
)
def strided_cnn_a(input_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Base A without pooling: the convolution before each pooling layer has stride 2."""
    image, x = _begin(input_shape)
    x = _conv(x, 96, 5, "conv1", strides=2)
    x = _drop(x, "drop1")
    x = _conv(x, 192, 5, "conv2", strides=2)
    x = _drop(x, "drop2")
    return _end(image, x, classes, "strided-cnn-a")


@_register(
    parameters=1_254_250,
    multiply_adds=308_547_072,
    largest_activation=393_216,
    smallest=9,
)
def convpool_cnn_a(input_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Base A with an added 3x3 convolution before each pooling layer, the control for all-cnn-a."""
    image, x = _begin(input_shape)
    x = _conv(x, 96, 5, "conv1")
    x = _conv(x, 96, 3, "conv2")
    x = _pool(x, "pool1")
    x = _drop(x, "drop1")
    x = _conv(x, 192, 5, "conv3")
    x = _conv(x, 192, 3, "conv4")
    x = _pool(x, "pool2")
    x = _drop(x, "drop2")
    return _end(image, x, classes, "convpool-cnn-a")


@_register(
    parameters=1_254_250,
    multiply_adds=181_145_088,
    largest_activation=393_216,
    smallest=9,
)
def all_cnn_a(input_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Base A with each pooling layer replaced by a 3x3 convolution with stride 2."""
    image, x = _begin(input_shape)
    x = _conv(x, 96, 5, "conv1")
    x = _conv(x, 96, 3, "down1", strides=2)
    x = _drop(x, "drop1")
    x = _conv(x, 192, 5, "conv2")
    x = _conv(x, 192, 3, "down2", strides=2)
    x = _drop(x, "drop2")
    return _end(image, x, classes, "all-cnn-a")


@_register(
    parameters=885_610,
    multiply_adds=157_552_128,
    largest_activation=393_216,
    smallest=9,
)
def cnn_b(input_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Base B: base A with a 1x1 convolution of the same width after each 5x5 convolution."""
    image, x = _begin(input_shape)
    x = _conv(x, 96, 5, "conv1")
    x = _conv(x, 96, 1, "conv2")
    x = _pool(x, "pool1")
    x = _drop(x, "drop1")
    x = _conv(x, 192, 5, "conv3")
    x = _conv(x, 192, 1, "conv4")
    x = _pool(x, "pool2")
    x = _drop(x, "drop2")
    return _end(image, x, classes, "cnn-b")


@_register(
    parameters=885_610,
    multiply_adds=143_396_352,
    largest_activation=393_216,
    smallest=9,
)
def strided_cnn_b(input_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Base B without pooling: the convolution before each pooling layer has stride 2."""
    image, x = _begin(input_shape)
    x = _conv(x, 96, 5, "conv1")
    x = _conv(x, 96, 1, "conv2", strides=2)
    x = _drop(x, "drop1")
    x = _conv(x, 192, 5, "conv3")
    x = _conv(x, 192, 1, "conv4", strides=2)
    x = _drop(x, "drop2")
    return _end(image, x, classes, "strided-cnn-b")


@_register(
    parameters=1_300_618,
    multiply_adds=327_421_440,
    largest_activation=393_216,
    smallest=9,
)
def convpool_cnn_b(input_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Base B with an added 3x3 convolution before each pooling layer, the control for all-cnn-b."""
    image, x = _begin(input_shape)
    x = _conv(x, 96, 5, "conv1")
    x = _conv(x, 96, 1, "conv2")
    x = _conv(x, 96, 3, "conv3")
    x = _pool(x, "pool1")
    x = _drop(x, "drop1")
    x = _conv(x, 192, 5, "conv4")
    x = _conv(x, 192, 1, "conv5")
    x = _conv(x, 192, 3, "conv6")
    x = _pool(x, "pool2")
    x = _drop(x, "drop2")
    return _end(image, x, classes, "convpool-cnn-b")


@_register(
    parameters=1_300_618,
    multiply_adds=200_019_456,
    largest_activation=393_216,
    smallest=9,
)
def all_cnn_b(input_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Base B with each pooling layer replaced by a 3x3 convolution with stride 2."""
    image, x = _begin(input_shape)
    x = _conv(x, 96, 5, "conv1")
    x = _conv(x, 96, 1, "conv2")
    x = _conv(x, 96, 3, "down1", strides=2)
    x = _drop(x, "drop1")
    x = _conv(x, 192, 5, "conv3")
    x = _conv(x, 192, 1, "conv4")
    x = _conv(x, 192, 3, "down2", strides=2)
    x = _drop(x, "drop2")
    return _end(image, x, classes, "all-cnn-b")


@_register(
    parameters=954_730,
    multiply_adds=228_331_008,
    largest_activation=393_216,
    smallest=9,
)
def cnn_c(input_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Base C: two 3x3 convolutions before each pooling layer."""
    image, x = _begin(input_shape)
    x = _conv(x, 96, 3, "conv1")
    x = _conv(x, 96, 3, "conv2")
    x = _pool(x, "pool1")
    x = _drop(x, "drop1")
    x = _conv(x, 192, 3, "conv3")
    x = _conv(x, 192, 3, "conv4")
    x = _pool(x, "pool2")
    x = _drop(x, "drop2")
    return _end(image, x, classes, "cnn-c")


@_register(
    parameters=954_730,
    multiply_adds=100_929_024,
    largest_activation=393_216,
    smallest=9,
)
def strided_cnn_c(input_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Base C without pooling: the convolution before each pooling layer has stride 2."""
    image, x = _begin(input_shape)
    x = _conv(x, 96, 3, "conv1")
    x = _conv(x, 96, 3, "conv2", strides=2)
    x = _drop(x, "drop1")
    x = _conv(x, 192, 3, "conv3")
    x = _conv(x, 192, 3, "conv4", strides=2)
    x = _drop(x, "drop2")
    return _end(image, x, classes, "strided-cnn-c")


@_register(
    parameters=1_369_738,
    multiply_adds=398_200_320,
    largest_activation=393_216,
    smallest=9,
)
def convpool_cnn_c(input_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Base C with an added 3x3 convolution before each pooling layer, the control for all-cnn-c."""
    image, x = _begin(input_shape)
    x = _conv(x, 96, 3, "conv1")
    x = _conv(x, 96, 3, "conv2")
    x = _conv(x, 96, 3, "conv3")
    x = _pool(x, "pool1")
    x = _drop(x, "drop1")
    x = _conv(x, 192, 3, "conv4")
    x = _conv(x, 192, 3, "conv5")
    x = _conv(x, 192, 3, "conv6")
    x = _pool(x, "pool2")
    x = _drop(x, "drop2")
    return _end(image, x, classes, "convpool-cnn-c")


@_register(
    parameters=1_369_738,
    multiply_adds=270_798_336,
    largest_activation=393_216,
    smallest=9,
)
def all_cnn_c(input_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Base C with each pooling layer replaced by a 3x3 convolution with stride 2."""
    image, x = _begin(input_shape)
    x = _conv(x, 96, 3, "conv1")
    x = _conv(x, 96, 3, "conv2")
    x = _conv(x, 96, 3, "down1", strides=2)
    x = _drop(x, "drop1")
    x = _conv(x, 192, 3, "conv3")
    x = _conv(x, 192, 3, "conv4")
    x = _conv(x, 192, 3, "down2", strides=2)
    x = _drop(x, "drop2")
    return _end(image, x, classes, "all-cnn-c")
