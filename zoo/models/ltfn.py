"""The networks of the series "Learn TensorFlow Now", and ltfn5 with other downsampling.

Each network takes raw pixels and first scales them to 0..1, as the posts' data loader does. The
logits are always float32, also when the layers before them compute in bfloat16.
"""

from __future__ import annotations

from etils import epy

from zoo.models.registry import register_model

with epy.lazy_imports():
    import keras
    from keras import layers


@register_model(
    parameters=7_850,
    multiply_adds=7_840,
    largest_activation=3_136,
    smallest=1,
    input_shape=(28, 28, 1),
    classes=10,
    origin="Learn TensorFlow Now 1: softmax regression",
)
def ltfn1(input_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Softmax regression: each class has one weight per pixel and a bias."""
    image = keras.Input(input_shape, name="image")
    x = layers.Rescaling(1 / 255, name="scale")(image)

    x = layers.Flatten(name="flatten")(x)
    logits = layers.Dense(classes, dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name="ltfn1")


@register_model(
    parameters=648_010,
    multiply_adds=647_000,
    largest_activation=3_136,
    smallest=1,
    input_shape=(28, 28, 1),
    classes=10,
    origin="Learn TensorFlow Now 3: fully connected network, the baseline for ltfn5",
)
def ltfn3(input_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """A fully connected network with two hidden layers of 500 units.

    It does not use the positions of the pixels: it learns permuted images equally well.
    """
    image = keras.Input(input_shape, name="image")
    x = layers.Rescaling(1 / 255, name="scale")(image)

    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(500, activation="relu", name="layer1")(x)
    x = layers.Dense(500, activation="relu", name="layer2")(x)
    logits = layers.Dense(classes, dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name="ltfn3")


@register_model(
    parameters=321_738,
    multiply_adds=72_767_744,
    largest_activation=200_704,
    smallest=4,
    input_shape=(28, 28, 1),
    classes=10,
    origin="Learn TensorFlow Now 5: Building a ConvNet",
)
def ltfn5(input_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Four 3x3 convolutions and two 2x2 max poolings, then one dense layer.

    Shapes: 28x28x1 -> 28x28x64 -> 14x14x64 -> 14x14x128 -> 7x7x128 = 6,272 values -> 10 logits.
    Each pooling halves height and width; the convolutions after the first double the channels.
    """
    image = keras.Input(input_shape, name="image")
    x = layers.Rescaling(1 / 255, name="scale")(image)

    x = layers.Conv2D(64, 3, padding="same", activation="relu", name="layer1")(x)
    x = layers.Conv2D(64, 3, padding="same", activation="relu", name="layer2")(x)
    x = layers.MaxPooling2D(pool_size=2, strides=2, name="pool1")(x)

    x = layers.Conv2D(128, 3, padding="same", activation="relu", name="layer3")(x)
    x = layers.Conv2D(128, 3, padding="same", activation="relu", name="layer4")(x)
    x = layers.MaxPooling2D(pool_size=2, strides=2, name="pool2")(x)

    x = layers.Flatten(name="flatten")(x)
    logits = layers.Dense(classes, dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name="ltfn5")


@register_model(
    parameters=321_738,
    multiply_adds=72_767_744,
    largest_activation=200_704,
    smallest=4,
    input_shape=(28, 28, 1),
    classes=10,
    origin="ltfn5 with average pooling, an alternative that the post names",
)
def ltfn5_avgpool(input_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """ltfn5 with average pooling: the mean of each 2x2 window instead of its maximum."""
    image = keras.Input(input_shape, name="image")
    x = layers.Rescaling(1 / 255, name="scale")(image)

    x = layers.Conv2D(64, 3, padding="same", activation="relu", name="layer1")(x)
    x = layers.Conv2D(64, 3, padding="same", activation="relu", name="layer2")(x)
    x = layers.AveragePooling2D(pool_size=2, strides=2, name="pool1")(x)

    x = layers.Conv2D(128, 3, padding="same", activation="relu", name="layer3")(x)
    x = layers.Conv2D(128, 3, padding="same", activation="relu", name="layer4")(x)
    x = layers.AveragePooling2D(pool_size=2, strides=2, name="pool2")(x)

    x = layers.Flatten(name="flatten")(x)
    logits = layers.Dense(classes, dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name="ltfn5-avgpool")


@register_model(
    parameters=321_738,
    multiply_adds=29_415_680,
    largest_activation=200_704,
    smallest=1,
    input_shape=(28, 28, 1),
    classes=10,
    origin="ltfn5 with strided convolutions, an alternative that the post names",
)
def ltfn5_strided(input_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """ltfn5 without pooling: the convolution before each pooling layer has stride 2 instead."""
    image = keras.Input(input_shape, name="image")
    x = layers.Rescaling(1 / 255, name="scale")(image)

    x = layers.Conv2D(64, 3, padding="same", activation="relu", name="layer1")(x)
    x = layers.Conv2D(64, 3, strides=2, padding="same", activation="relu", name="layer2")(x)

    x = layers.Conv2D(128, 3, padding="same", activation="relu", name="layer3")(x)
    x = layers.Conv2D(128, 3, strides=2, padding="same", activation="relu", name="layer4")(x)

    x = layers.Flatten(name="flatten")(x)
    logits = layers.Dense(classes, dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name="ltfn5-strided")


@register_model(
    parameters=506_250,
    multiply_adds=87_218_432,
    largest_activation=200_704,
    smallest=1,
    input_shape=(28, 28, 1),
    classes=10,
    origin='ltfn5 with pooling replaced as in "Striving for Simplicity"',
)
def ltfn5_allconv(input_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """ltfn5 with each pooling layer replaced by a 3x3 convolution with stride 2."""
    image = keras.Input(input_shape, name="image")
    x = layers.Rescaling(1 / 255, name="scale")(image)

    x = layers.Conv2D(64, 3, padding="same", activation="relu", name="layer1")(x)
    x = layers.Conv2D(64, 3, padding="same", activation="relu", name="layer2")(x)
    x = layers.Conv2D(64, 3, strides=2, padding="same", activation="relu", name="down1")(x)

    x = layers.Conv2D(128, 3, padding="same", activation="relu", name="layer3")(x)
    x = layers.Conv2D(128, 3, padding="same", activation="relu", name="layer4")(x)
    x = layers.Conv2D(128, 3, strides=2, padding="same", activation="relu", name="down2")(x)

    x = layers.Flatten(name="flatten")(x)
    logits = layers.Dense(classes, dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name="ltfn5-allconv")


@register_model(
    parameters=506_250,
    multiply_adds=130_570_496,
    largest_activation=200_704,
    smallest=4,
    input_shape=(28, 28, 1),
    classes=10,
    origin='ltfn5 with convolutions added as in "Striving for Simplicity"',
)
def ltfn5_convpool(input_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """ltfn5 with an added 3x3 convolution before each pooling layer, the control for ltfn5-allconv.

    Both have the same number of parameters, but here the added convolutions have stride 1.
    """
    image = keras.Input(input_shape, name="image")
    x = layers.Rescaling(1 / 255, name="scale")(image)

    x = layers.Conv2D(64, 3, padding="same", activation="relu", name="layer1")(x)
    x = layers.Conv2D(64, 3, padding="same", activation="relu", name="layer2")(x)
    x = layers.Conv2D(64, 3, padding="same", activation="relu", name="extra1")(x)
    x = layers.MaxPooling2D(pool_size=2, strides=2, name="pool1")(x)

    x = layers.Conv2D(128, 3, padding="same", activation="relu", name="layer3")(x)
    x = layers.Conv2D(128, 3, padding="same", activation="relu", name="layer4")(x)
    x = layers.Conv2D(128, 3, padding="same", activation="relu", name="extra2")(x)
    x = layers.MaxPooling2D(pool_size=2, strides=2, name="pool2")(x)

    x = layers.Flatten(name="flatten")(x)
    logits = layers.Dense(classes, dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name="ltfn5-convpool")


@register_model(
    parameters=444_810,
    multiply_adds=87_218_432,
    largest_activation=200_704,
    smallest=1,
    input_shape=(28, 28, 1),
    classes=10,
    origin='ltfn5 with pooling and dense layer replaced as in "Striving for Simplicity"',
)
def ltfn5_allconv_gap(input_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """ltfn5-allconv with a 1x1 convolution and global average pooling as the last layers."""
    image = keras.Input(input_shape, name="image")
    x = layers.Rescaling(1 / 255, name="scale")(image)

    x = layers.Conv2D(64, 3, padding="same", activation="relu", name="layer1")(x)
    x = layers.Conv2D(64, 3, padding="same", activation="relu", name="layer2")(x)
    x = layers.Conv2D(64, 3, strides=2, padding="same", activation="relu", name="down1")(x)

    x = layers.Conv2D(128, 3, padding="same", activation="relu", name="layer3")(x)
    x = layers.Conv2D(128, 3, padding="same", activation="relu", name="layer4")(x)
    x = layers.Conv2D(128, 3, strides=2, padding="same", activation="relu", name="down2")(x)

    x = layers.Conv2D(classes, 1, dtype="float32", name="classes")(x)
    logits = layers.GlobalAveragePooling2D(dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name="ltfn5-allconv-gap")


@register_model(
    parameters=16_067_786,
    multiply_adds=292_134_912,
    largest_activation=262_144,
    smallest=12,
    input_shape=(28, 28, 1),
    classes=10,
    origin="Learn TensorFlow Now: VGG-style network on images padded to 32x32",
)
def ltfn_vgg(input_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """A VGG-style network: four blocks of 3x3 convolutions with 64, 128, 256 and 512 channels.

    Ten convolutions are followed by two dense layers. Two black pixels on each side pad 28x28 to
    32x32, so that the four poolings leave 2x2x512 values.
    """
    image = keras.Input(input_shape, name="image")
    x = layers.Rescaling(1 / 255, name="scale")(image)
    x = layers.ZeroPadding2D(2, name="pad")(x)

    x = layers.Conv2D(64, 3, padding="same", activation="relu", name="layer1")(x)
    x = layers.Conv2D(64, 3, padding="same", activation="relu", name="layer2")(x)
    x = layers.MaxPooling2D(pool_size=2, strides=2, name="pool1")(x)

    x = layers.Conv2D(128, 3, padding="same", activation="relu", name="layer3")(x)
    x = layers.Conv2D(128, 3, padding="same", activation="relu", name="layer4")(x)
    x = layers.MaxPooling2D(pool_size=2, strides=2, name="pool2")(x)

    x = layers.Conv2D(256, 3, padding="same", activation="relu", name="layer5")(x)
    x = layers.Conv2D(256, 3, padding="same", activation="relu", name="layer6")(x)
    x = layers.Conv2D(256, 3, padding="same", activation="relu", name="layer7")(x)
    x = layers.MaxPooling2D(pool_size=2, strides=2, name="pool3")(x)

    x = layers.Conv2D(512, 3, padding="same", activation="relu", name="layer8")(x)
    x = layers.Conv2D(512, 3, padding="same", activation="relu", name="layer9")(x)
    x = layers.Conv2D(512, 3, padding="same", activation="relu", name="layer10")(x)
    x = layers.MaxPooling2D(pool_size=2, strides=2, name="pool4")(x)

    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(4096, activation="relu", name="layer11")(x)
    logits = layers.Dense(classes, dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name="ltfn-vgg")
