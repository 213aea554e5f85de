"""Train the architectures of keras.applications briefly, as files for ``tools.check_keras_files``.

    python -m tools.make_keras_files FOLDER [NAME ...]

Writes NAME-whole.keras, a classifier trained from new weights, and NAME-transfer.keras, the
architecture as one layer of a classifier with augmentation and preprocessing, and for each a folder
NAME-....data with the pictures: colored stripes of 72x72 in three directions.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from etils import epy
from PIL import Image

from zoo.util import backend

with epy.lazy_imports():
    import keras
    from keras import layers

# Name -> module of keras.applications, whose preprocess_input it takes.
ARCHITECTURES = {
    "MobileNetV2": "mobilenet_v2",
    "MobileNetV3Small": "mobilenet_v3",
    "EfficientNetV2B0": "efficientnet_v2",
    "ResNet50V2": "resnet_v2",
    "DenseNet121": "densenet",
    "NASNetMobile": "nasnet",
    "ConvNeXtTiny": "convnext",
    "Xception": "xception",
}
CLASSES = ("000 degrees", "060 degrees", "120 degrees")  # in the order of the folders
_COUNTS = {"train": 480, "val": 120, "test": 240}
_SIZE = 72  # Xception takes 71 and more
_STEPS = {"whole": 30, "transfer": 75}
_BATCH = 32


def main() -> None:
    """Write the files of the named architectures, by default of all."""
    parser = argparse.ArgumentParser(description="Train architectures of keras.applications.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(ARCHITECTURES))
    arguments = parser.parse_args()
    backend.start_tensorflow()
    for name in arguments.names or ARCHITECTURES:
        for kind in ("whole", "transfer"):
            keras.utils.set_random_seed(1)
            data = arguments.folder / f"{name}-{kind}.data"
            images, labels = _write_pictures(data)
            model = _trained(name, kind, images, labels)
            model.save(arguments.folder / f"{name}-{kind}.keras")
            print(f"{name}-{kind}: {model.count_params():,} parameters", flush=True)


def _trained(name: str, kind: str, images: np.ndarray, labels: np.ndarray) -> keras.Model:
    """Return a classifier of an architecture, trained for a few steps."""
    module = getattr(keras.applications, ARCHITECTURES[name])
    build = getattr(keras.applications, name)
    shape = (_SIZE, _SIZE, 3)
    pixels = images.astype(np.float32)
    if kind == "whole":
        model = build(weights=None, input_shape=shape, classes=len(CLASSES))
        pixels = module.preprocess_input(pixels)
    else:
        backbone = build(weights=None, include_top=False, input_shape=shape)
        image = keras.Input(shape)
        x = layers.RandomTranslation(0.1, 0.1)(image)
        x = backbone(module.preprocess_input(x))
        x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
        model = keras.Model(image, layers.Dense(len(CLASSES))(x))
    for layer in model._flatten_layers():
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.8  # so that the statistics follow within the few steps
    model.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=kind == "transfer"),
    )
    epochs = _STEPS[kind] * _BATCH // len(images)
    model.fit(pixels, labels, batch_size=_BATCH, epochs=epochs, verbose=0)
    return model


def _write_pictures(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Write all pictures and return those of the train split, with their labels."""
    rng = np.random.default_rng(0)
    splits = {split: list(_stripes(count, rng)) for split, count in _COUNTS.items()}
    for split, pictures in splits.items():
        for number, picture in enumerate(pictures):
            place = folder / split / CLASSES[number % len(CLASSES)]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(place / f"{number:04d}.png")
    images = np.stack(splits["train"])
    return images, np.arange(len(images)) % len(CLASSES)


def _stripes(count: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield pictures, uint8 [72, 72, 3]; their classes take turns."""
    y, x = np.mgrid[:_SIZE, :_SIZE] / _SIZE
    for number in range(count):
        angle = np.pi * (number % len(CLASSES)) / len(CLASSES)
        phase = rng.uniform(0, 2 * np.pi)
        wave = np.sin(8 * np.pi * (np.cos(angle) * x + np.sin(angle) * y) + phase)
        color = rng.uniform(0.4, 1, 3) * rng.uniform(0.5, 1)
        picture = 255 * (0.5 + 0.5 * wave)[..., None] * color
        yield np.clip(picture + rng.normal(0, 25, picture.shape), 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
