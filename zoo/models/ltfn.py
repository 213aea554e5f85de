"""The networks of the series "Learn TensorFlow Now".

Each takes raw pixels and begins by scaling them to 0..1, as the posts' data loader does. The
logits stay float32 whatever the precision of the layers before them.
"""

from __future__ import annotations

from etils import epy

from zoo.registry import register_model

with epy.lazy_imports():
    import keras
    from keras import layers


@register_model(
    parameters=321_738,
    input_shape=(28, 28, 1),
    classes=10,
    origin="Learn TensorFlow Now 5: Building a ConvNet",
)
def ltfn5(input_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Four 3x3 convolutions and two 2x2 max poolings, then one dense layer.

    A 28x28x1 image becomes 28x28x64, 14x14x64, 14x14x128, 7x7x128 = 6,272 values, 10 logits:
    each pooling halves height and width, and the convolutions after it double the depth.
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
