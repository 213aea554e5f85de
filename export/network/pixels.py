"""The pixel scales that Keras classifiers are commonly trained with.

======== =========================================== ==========================================
name     network input for a pixel 0..255            in ``keras.applications``
======== =========================================== ==========================================
0..255   the pixel                                   EfficientNet, ConvNeXt, MobileNetV3
0..1     pixel / 255
-1..1    pixel / 127.5 - 1                           mode ``tf``: MobileNetV2, ResNetV2, Xception
caffe    blue, green, red, minus ImageNet's mean     mode ``caffe``: VGG, ResNet
imagenet (pixel / 255 - mean) / standard deviation   mode ``torch``: DenseNet
======== =========================================== ==========================================
"""

from __future__ import annotations

import numpy as np
from etils import epy

with epy.lazy_imports():
    import keras
    from keras import layers

RAW = "0..255"
AUTO = "auto"
NAMES = (RAW, "0..1", "-1..1", "caffe", "imagenet")

# Statistics of ImageNet's training images: red, green, blue.
_MEAN = np.array([0.485, 0.456, 0.406])
_DEVIATION = np.array([0.229, 0.224, 0.225])
_CAFFE_MEAN = np.array([123.68, 116.779, 103.939])


def names_for(channels: int) -> tuple[str, ...]:
    """Return the names of the pixel scales for images with this many channels."""
    return NAMES if channels == 3 else NAMES[:3]


def scaling(name: str) -> list[keras.Layer]:
    """Return the layers that convert pixels 0..255 to a scale, float32 [N, H, W, C].

    Args:
        name: one of ``NAMES``; the last two require three channels.
    """
    if name == RAW:
        return []
    if name == "0..1":
        return [layers.Rescaling(1 / 255, name="pixels")]
    if name == "-1..1":
        return [layers.Rescaling(1 / 127.5, offset=-1.0, name="pixels")]
    if name == "imagenet":
        scale, offset = 1 / (255 * _DEVIATION), -_MEAN / _DEVIATION
        return [layers.Rescaling(scale.tolist(), offset=offset.tolist(), name="pixels")]
    # A convolution is the only operation for reordering channels that every device supports.
    swapped = layers.Conv2D(3, 1, trainable=False, name="pixels")
    swapped.build((None, None, None, 3))
    swapped.set_weights([np.eye(3)[::-1].reshape(1, 1, 3, 3), -_CAFFE_MEAN[::-1]])
    return [swapped]
