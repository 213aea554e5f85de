"""Test that user-supplied Keras files are opened, interpreted, exported and verified."""

from __future__ import annotations

import dataclasses
import importlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from keras import layers

import export
from export.__main__ import _labels
from export.convert import saved_model
from export.network import pixels
from export.network.canonical import canonicalize
from export.network.deploy import scales_pixels
from export.network.keras_file import open_keras_file
from export.network.keras_source import from_keras
from export.network.sources import Source, deployable
from tests.conftest import Command
from zoo.data import Dataset
from zoo.data.preprocessing import Preprocessing
from zoo.data.splits import Split
from zoo.errors import InputError
from zoo.models import user_modules

CLASSES = ("dark", "middle", "bright")


def _split(name: str, count: int, channels: int) -> Split:
    """Return noise of three mean levels, uint8 [count, 8, 8, channels]."""
    random = np.random.default_rng(len(name))
    labels = np.arange(count) % len(CLASSES)
    means = np.array([40, 128, 215])[labels, None, None, None]
    images = means + random.normal(0, 25, (count, 8, 8, channels))
    return Split(name, np.clip(images, 0, 255).astype(np.uint8), labels)


def _levels(channels: int = 3) -> Dataset:
    return Dataset(
        name="levels",
        source="levels",
        version="1",
        class_names=CLASSES,
        licence="not stated",
        homepage="",
        preprocessing=Preprocessing(height=8, width=8, channels=channels),
        taken=(),
        train=_split("train", 120, channels),
        validation=_split("validation", 60, channels),
        test=_split("test", 60, channels),
    )


def _changed(dataset: Dataset, change: Callable[[Split], Split]) -> Dataset:
    return dataclasses.replace(
        dataset,
        train=change(dataset.train),
        validation=change(dataset.validation),
        test=change(dataset.test),
    )


def _trained(file: Path, scaled: np.ndarray, labels: np.ndarray, *stack: keras.Layer) -> Path:
    """Train a network on scaled images and save it."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(scaled.shape[1:]), *stack])
    softmax = getattr(stack[-1], "activation", None) is keras.activations.softmax
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=not softmax)
    if model.output_shape[-1] == 1:
        loss = keras.losses.MeanSquaredError()
    model.compile(keras.optimizers.Adam(0.03), loss)
    model.fit(scaled, labels, epochs=25, verbose=0)
    model.save(file)
    return file


def _dense(*, rescaled: bool = False, outputs: int = 3) -> list[keras.Layer]:
    scaling = [layers.Rescaling(1 / 255)] if rescaled else []
    hidden = layers.Dense(16, activation="relu")
    return [*scaling, layers.GlobalAveragePooling2D(), hidden, layers.Dense(outputs)]


def _opened(file: Path, dataset: Dataset, **options: Any) -> Source:
    return from_keras(open_keras_file(file), dataset, **options)


@pytest.mark.parametrize(
    ("name", "mode"), [("-1..1", "tf"), ("caffe", "caffe"), ("imagenet", "torch")]
)
def test_a_scale_is_that_of_keras_applications(name: str, mode: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3)).astype(np.float32)
    scaled = images
    for layer in pixels.scaling(name):
        scaled = layer(scaled)
    expected = keras.applications.imagenet_utils.preprocess_input(images.copy(), mode=mode)
    np.testing.assert_allclose(scaled, expected, atol=1e-4)
    np.testing.assert_allclose(pixels.scaling("0..1")[0](images), images / 255, atol=1e-6)


def test_a_network_that_scales_its_pixels_needs_no_options(tmp_path: Path) -> None:
    dataset = _levels()
    told: list[str] = []
    train = dataset.train
    stack = [layers.Rescaling(1 / 255), layers.Conv2D(8, 3, activation="relu"), *_dense()]
    file = _trained(tmp_path / "mine.keras", train.images, train.labels, *stack)
    source = _opened(file, dataset, announce=told.append)
    (line,) = told
    expected = r"With pixels 0\.\.255, (9.|100)\.. % of 180 training and .* correctly"
    assert re.fullmatch(expected, line)
    assert source.notes == ()
    assert not any(isinstance(each, layers.Rescaling) for each in source.deployed.layers)
    images = dataset.test.images.astype(np.float32)
    np.testing.assert_allclose(source.deployed(images), source.model(images), rtol=1e-4, atol=1e-4)
    facts = source.origin["keras_file"]
    assert (facts["name"], facts["pixels"], facts["outputs"]) == ("mine.keras", "0..255", "logits")


@pytest.mark.parametrize("scale", ["0..1", "-1..1", "imagenet"])
def test_a_scale_that_suits_better_is_proposed_and_not_taken(scale: str, tmp_path: Path) -> None:
    dataset = _levels()
    scaled = dataset.train.images.astype(np.float32)
    for layer in pixels.scaling(scale):
        scaled = np.asarray(layer(scaled))
    # Raw pixels saturate the tanh layer, so that the network predicts a single class.
    stack = [layers.Flatten(), layers.Dense(16, activation="tanh"), layers.Dense(3)]
    file = _trained(tmp_path / "mine.keras", scaled, dataset.train.labels, *stack)
    with pytest.raises(InputError, match=r"--pixels") as caught:
        _opened(file, dataset)
    assert scale in str(caught.value)
    source = _opened(file, dataset, scale=scale)
    assert source.origin["keras_file"]["pixels"] == scale
    own = keras.saving.load_model(file).predict(scaled, verbose=0)
    logits = source.model.predict(dataset.train.images.astype(np.float32), verbose=0)
    np.testing.assert_allclose(logits, own, atol=1e-3)


def test_scales_that_cannot_be_told_apart_are_asked_for(tmp_path: Path) -> None:
    # Without biases the class does not depend on the scale, but the probabilities do.
    dataset = _levels()

    def coloured(split: Split) -> Split:
        pixels = 200 * np.eye(3, dtype=np.uint8)[split.labels]
        return Split(split.name, np.tile(pixels[:, None, None], (1, 8, 8, 1)), split.labels)

    colours = _changed(dataset, coloured)
    image = keras.Input((8, 8, 3))
    convolution = layers.Conv2D(3, 1, use_bias=False)
    model = keras.Model(image, layers.GlobalAveragePooling2D()(convolution(image)))
    convolution.set_weights([20 * np.eye(3)[None, None]])
    model.save(tmp_path / "mine.keras")
    alike = r"equally accurate .* pixels 0\.\.255 .*, 0\.\.1 .* set --pixels to the scale used in"
    for scale in (None, "auto"):
        with pytest.raises(InputError, match=alike):
            _opened(tmp_path / "mine.keras", colours, scale=scale)
    assert _opened(tmp_path / "mine.keras", colours, scale="0..1").name == "mine"


def test_auto_accepts_the_scale_that_suits_best(tmp_path: Path) -> None:
    dataset = _levels(channels=1)
    # Because of the shift, every wrong scale gives a single class.
    scaled = dataset.train.images / 127.5 - 1
    stack = [layers.GlobalAveragePooling2D(), layers.Rescaling(1.0), *_dense()[1:]]
    file = _trained(tmp_path / "mine.keras", scaled, dataset.train.labels, *stack)
    assert _opened(file, dataset, scale="auto").origin["keras_file"]["pixels"] == "-1..1"


@pytest.mark.parametrize("skipped", ["pixels", "scaled pixels"])
def test_pixels_that_are_used_twice_are_computed_as_before(skipped: str) -> None:
    image = keras.Input((8, 8, 3))
    scaled = layers.Rescaling(1 / 255)(image)
    kernel = layers.Conv2D(3, 3, padding="same")(scaled)
    skip = image if skipped == "pixels" else scaled
    x = layers.Flatten()(layers.Concatenate()([kernel, skip]))
    model = keras.Model(image, layers.Dense(3)(x))
    images = _levels().test.images.astype(np.float32)
    np.testing.assert_allclose(deployable(model)(images), model(images), rtol=1e-4, atol=1e-4)


def test_whether_a_network_scales_its_pixels_is_seen() -> None:
    def network(*stack: keras.Layer) -> keras.Model:
        model = keras.Sequential([keras.Input((8, 8, 3)), *stack])
        return canonicalize(model, name="mine", image_shape=(8, 8, 3)).model

    assert scales_pixels(network(layers.ZeroPadding2D(), layers.Rescaling(2), layers.Flatten()))
    assert not scales_pixels(network(layers.Cropping2D(1), layers.Conv2D(2, 3), layers.Flatten()))
    image = keras.Input((8, 8, 3))
    assert scales_pixels(keras.Model(image, layers.Flatten()(image / 127.5 - 1)))


def test_classes_in_another_order_are_seen(tmp_path: Path) -> None:
    dataset = _levels()
    turned = (dataset.train.labels + 1) % 3
    file = _trained(tmp_path / "mine.keras", dataset.train.images, turned, *_dense(rescaled=True))
    with pytest.raises(
        InputError, match=r"--labels bright,dark,middle: .* (9.|100)\.. % .* 0\.. %"
    ):
        _opened(file, dataset)
    ordered = dataset.in_order(["bright", "dark", "middle"])
    assert ordered.class_names[ordered.test.labels[0]] == CLASSES[dataset.test.labels[0]]
    source = _opened(file, ordered)
    answers = source.model.predict(ordered.test.images.astype(np.float32), verbose=0).argmax(1)
    assert np.mean(answers == ordered.test.labels) > 0.95
    # An order that the user gives is not questioned.
    assert _opened(file, dataset, ordered=True).name == "mine"


def test_labels_must_be_the_classes() -> None:
    with pytest.raises(InputError, match="'black' is not one of dark, middle, bright"):
        _levels().in_order(["black", "middle", "bright"])
    with pytest.raises(InputError, match="must be named once"):
        _levels().in_order(["dark", "middle", "middle"])


def test_a_list_of_labels_may_be_longer_than_a_file_name(tmp_path: Path) -> None:
    names = [f"class number {number}" for number in range(100)]
    assert _labels(",".join(names)) == names
    (tmp_path / "labels.txt").write_text("\n".join(names))
    assert _labels(str(tmp_path / "labels.txt")) == names


def test_a_weak_network_is_not_read_in_another_order(tmp_path: Path) -> None:
    dataset = _levels()
    random = np.random.default_rng(0).integers(0, 3, len(dataset.train))
    shuffled = dataclasses.replace(dataset.train, labels=random)
    weak = dataclasses.replace(dataset, train=shuffled)
    file = _trained(tmp_path / "mine.keras", weak.train.images, random, *_dense(rescaled=True))
    validation = np.random.default_rng(1).integers(0, 3, len(dataset.validation))
    weak = dataclasses.replace(
        weak,
        train=dataclasses.replace(shuffled, labels=np.roll(random, 7)),
        validation=dataclasses.replace(dataset.validation, labels=validation),
    )
    assert _opened(file, weak).name == "mine"


def test_outputs_that_are_no_logits_are_refused(tmp_path: Path) -> None:
    dataset = _levels()
    image = keras.Input((8, 8, 3))
    x = layers.Flatten()(layers.Rescaling(1 / 255)(image))
    heads = [layers.Dense(3, activation="softmax")(x) for _ in range(2)]
    keras.Model(image, layers.Average()(heads)).save(tmp_path / "ensemble.keras")
    with pytest.raises(InputError, match="between 0 and 1 for every image, like probabilities"):
        _opened(tmp_path / "ensemble.keras", dataset, scale="0..255", ordered=True)
    two = _changed(dataset, lambda each: Split(each.name, each.images, np.minimum(each.labels, 1)))
    two = dataclasses.replace(two, class_names=("dark", "light"))
    file = _trained(
        tmp_path / "regression.keras",
        two.train.images,
        two.train.labels,
        *_dense(rescaled=True, outputs=1),
    )
    with pytest.raises(InputError, match=r"its single output has the threshold 0\.5"):
        _opened(file, two)


def test_a_network_that_is_not_its_layers_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = _levels()
    train = dataset.train
    file = _trained(tmp_path / "mine.keras", train.images, train.labels, *_dense(rescaled=True))
    opened = open_keras_file(file)
    monkeypatch.setattr(type(opened), "outputs", lambda self, images: -np.ones((180, 3)))
    with pytest.raises(InputError, match="its outputs differ from those of its converted copy"):
        from_keras(opened, dataset)


def test_outputs_may_have_a_name(tmp_path: Path) -> None:
    dataset = _levels()
    image = keras.Input((8, 8, 3))
    x = layers.Flatten()(layers.Rescaling(1 / 255)(image))
    keras.Model(image, {"class": layers.Dense(3)(x)}).save(tmp_path / "named.keras")
    source = _opened(tmp_path / "named.keras", dataset, scale="0..255", ordered=True)
    assert source.model.output_shape == (None, 3)


def test_what_tensorflow_refuses_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = _levels()
    file = _trained(tmp_path / "mine.keras", dataset.train.images, dataset.train.labels, *_dense())
    opened = open_keras_file(file)

    def refuse(*_: object) -> None:
        tf.debugging.assert_equal(1, 2, "the sizes differ")

    monkeypatch.setattr(type(opened), "outputs", refuse)
    with pytest.raises(InputError, match=r"mine\.keras cannot be exported: the sizes differ$"):
        from_keras(opened, dataset)


def _saved(folder: Path, name: str, *stack: keras.Layer, shape: tuple[int | None, ...]) -> Path:
    x = image = keras.Input(shape)
    for layer in stack:
        x = layer(x)
    keras.Model(image, x).save(folder / name)
    return folder / name


def test_what_is_no_image_classifier_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.keras").write_text("no archive")
    with pytest.raises(InputError, match=r"text\.keras cannot be opened"):
        open_keras_file(tmp_path / "text.keras")
    file = _saved(tmp_path, "cut.keras", layers.Flatten(), layers.Dense(9), shape=(4, 4, 1))
    content = bytearray(file.read_bytes())
    content[content.index(b"model.weights.h5") + 3_000] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"cut\.keras cannot be opened"):
        open_keras_file(file)
    file = _saved(tmp_path, "flat.keras", layers.Dense(2), shape=(4,))
    with pytest.raises(InputError, match=r"must take images .* it takes \(None, 4\)"):
        open_keras_file(file)
    image = keras.Input((4, 4, 1))
    x = layers.Flatten()(image)
    keras.Model(image, [layers.Dense(2)(x), layers.Dense(2)(x)]).save(tmp_path / "two.keras")
    with pytest.raises(InputError, match="has 1 inputs and 2 outputs"):
        open_keras_file(tmp_path / "two.keras")
    file = _saved(tmp_path, "a b.keras", layers.Flatten(), shape=(4, 4, 1))
    with pytest.raises(InputError, match="rename this file"):
        open_keras_file(file)


def test_a_network_of_any_size_needs_one(tmp_path: Path) -> None:
    stack = (layers.Conv2D(3, 3), layers.GlobalAveragePooling2D())
    file = _saved(tmp_path, "any.keras", *stack, shape=(None, None, 1))
    with pytest.raises(InputError, match="takes images of any size; set one with --image-size"):
        open_keras_file(file)
    assert open_keras_file(file, (9, 8)).image_shape == (9, 8, 1)
    file = _saved(tmp_path, "one.keras", layers.Flatten(), layers.Dense(2), shape=(4, 4, 1))
    with pytest.raises(InputError, match="takes images of 4x4, received --image-size 8x8"):
        open_keras_file(file, (8, 8))


def test_h5_files_are_opened(tmp_path: Path) -> None:
    file = _saved(tmp_path, "mine.h5", layers.Flatten(), layers.Dense(2), shape=(4, 4, 1))
    assert open_keras_file(file).classes == 2
    file.write_bytes(file.read_bytes()[:2_000])
    with pytest.raises(InputError, match=r"if an older Keras wrote it, save it again there"):
        open_keras_file(file)


PATCHES = """
import keras
from keras import layers, ops

def doubled(x):
    return 2 * x

class Patches(layers.Layer):
    def __init__(self, size, units, **options):
        super().__init__(**options)
        self.size, self.units = size, units
        self.projection = layers.Dense(units, activation=doubled)

    def call(self, images):
        return self.projection(ops.image.extract_patches(images, self.size))

    def get_config(self):
        return super().get_config() | {"size": self.size, "units": self.units}
"""


@pytest.mark.usefixtures("registered")
def test_layers_of_a_module_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "patches.py").write_text(PATCHES)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("patches")
    dataset = _levels()
    stack = [layers.Rescaling(1 / 255), module.Patches(4, 6), *_dense()]
    file = _trained(tmp_path / "vit.keras", dataset.train.images, dataset.train.labels, *stack)
    with pytest.raises(InputError, match=r"give the module that defines it with --import"):
        open_keras_file(file)
    user_modules.import_module("patches")
    source = _opened(file, dataset)
    own = keras.saving.load_model(file).predict(dataset.test.images, verbose=0)
    logits = source.model.predict(dataset.test.images.astype(np.float32), verbose=0)
    np.testing.assert_allclose(logits, own, atol=1e-3)


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_code_within_the_file_is_not_run(ending: str, tmp_path: Path) -> None:
    stack = (layers.Flatten(), layers.Lambda(lambda x: x + 1))
    file = _saved(tmp_path, f"code.{ending}", *stack, shape=(4, 4, 1))
    with pytest.raises(InputError, match=rf"code\.{ending} cannot be opened: .*[Ll]ambda"):
        open_keras_file(file)


@pytest.mark.slow
def test_it_is_exported_and_verified(digits: Dataset, tmp_path: Path, command: Command) -> None:
    head = [layers.Conv2D(8, 3, strides=2, activation="relu"), layers.Flatten()]
    stack = [*head, layers.Dense(10, activation="softmax")]
    _trained(tmp_path / "mine.keras", digits.train.images / 255, digits.train.labels, *stack)
    model = keras.saving.load_model(tmp_path / "mine.keras")
    options = ("--data", "digits", "--pixels", "0..1", "--batch", 3, "--formats", "float32,int8")
    done = command("export", "mine.keras", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    version = tmp_path / "exports" / "mine" / "1"
    manifest = json.loads((version / "manifest.json").read_text())
    assert manifest["origin"]["keras_file"]["name"] == "mine.keras"
    images = digits.test.images
    assert len(images) % 3, "the last batch is not whole"
    own = model.predict(images / 255, verbose=0).argmax(axis=1)
    assert manifest["reference"]["correct"] == np.sum(own == digits.test.labels) > 300
    for artifact in manifest["artifacts"]:
        batch = None if artifact["format"] == "saved_model" else 3
        assert artifact["inputs"]["image"]["shape"][0] == batch
        computed = export.load(version, runtime=artifact["format"])(images).argmax(axis=1)
        assert np.sum(computed != own) <= 3, artifact["format"]


@pytest.mark.slow
def test_what_a_default_format_cannot_hold_is_left_out(tmp_path: Path, command: Command) -> None:
    dataset = _levels()
    folder = tmp_path / "somebody" / "pictures"
    for split in (dataset.train, dataset.validation, dataset.test):
        for number, (image, label) in enumerate(zip(split.images, split.labels, strict=True)):
            file = folder / split.name / CLASSES[label] / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            PIL.Image.fromarray(image).save(file)
    stack = [layers.UpSampling2D(2), *_dense(rescaled=True)]
    _trained(tmp_path / "mine.keras", dataset.train.images, dataset.train.labels, *stack)
    options = ("--data", folder, "--labels", ",".join(CLASSES))
    done = command("export", "mine.keras", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    version = tmp_path / "exports" / "mine" / "1"
    manifest = json.loads((version / "manifest.json").read_text())
    assert manifest["left_out"].keys() == {"microcontroller"}
    reason = manifest["left_out"]["microcontroller"]
    assert "does not support UpSampling2D (layer 'up_sampling2d" in reason
    card = (version / "README.md").read_text()
    for text in (card, done.stdout):
        assert re.search(rf"[Ff]ormat microcontroller is left out: {re.escape(reason)}", text)
    # The card states only what is known about such a network.
    assert "mine, verified on pictures" in card
    assert "its training is unknown" in card
    assert "With only 60 test images, one image is 1.67 % of the accuracy" in card
    assert "https://www.tensorflow.org/datasets" not in card
    # The classes are in the order of --labels, which is not that of the alphabet.
    assert manifest["labels"] == list(CLASSES)
    assert (version / "assets" / "labels.txt").read_text().splitlines() == list(CLASSES)
    pictures = dataset.test.images[[list(dataset.test.labels).index(label) for label in range(3)]]
    for artifact in manifest["artifacts"]:
        logits = export.load(version, runtime=artifact["format"])(pictures)
        named = [export.labels(version)[label] for label in logits.argmax(axis=1)]
        assert named == list(CLASSES), artifact["format"]
    served = tf.saved_model.load(str(version)).signatures["serving_default"]
    assert served(image=pictures)["label"].numpy().astype(str).tolist() == list(CLASSES)
    for file in version.rglob("*"):
        assert not file.is_file() or b"somebody" not in file.read_bytes(), file


def test_what_a_format_cannot_hold_is_said_before_anything_is_converted(
    tmp_path: Path, command: Command
) -> None:
    stack = (layers.UpSampling2D(2), layers.Flatten(), layers.Dense(10))
    _saved(tmp_path, "mine.keras", *stack, shape=(8, 8, 1))
    options = ("--data", "digits", "--pixels", "0..255", "--formats", "microcontroller")
    done = command("export", "mine.keras", *options, cwd=tmp_path)
    assert done.returncode == 2
    assert "Converting" not in done.stdout
    complaint = done.stderr.splitlines()[-1]
    assert "does not support UpSampling2D (layer 'up_sampling2d" in complaint
    assert not (tmp_path / "exports").exists()


def test_two_channels_have_no_picture_files(tmp_path: Path) -> None:
    image = keras.Input((8, 8, 2))
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(image)))
    assert "serve_bytes is left out" in saved_model.notes(model)[0]
    wanted = Preprocessing(height=8, width=8, channels=2)
    saved_model.save_serving(model, ["a", "b"], wanted, tmp_path / "served")
    served = tf.saved_model.load(str(tmp_path / "served")).signatures
    assert set(served) == {"serving_default", "features"}


def test_a_keras_file_needs_fitting_data(tmp_path: Path, command: Command) -> None:
    _saved(tmp_path, "mine.keras", layers.Flatten(), layers.Dense(3), shape=(8, 8, 3))
    none = command("export", "mine.keras", cwd=tmp_path)
    assert (none.returncode, none.stderr.count("\n")) == (2, 1)
    assert "mine.keras needs --data" in none.stderr
    other = command("export", "mine.keras", "--data", "digits", cwd=tmp_path)
    assert other.returncode == 2
    complaint = other.stderr.splitlines()[-1]
    assert "mine.keras has 3 classes, but digits has 10" in complaint


def test_weights_of_lora_are_not_missed_in_the_file(tmp_path: Path) -> None:
    image = keras.Input((4, 4, 1))
    adapted = layers.Dense(8)
    model = keras.Model(image, layers.Dense(2)(adapted(layers.Flatten()(image))))
    adapted.enable_lora(rank=64)
    model.save(tmp_path / "lora.keras")
    assert open_keras_file(tmp_path / "lora.keras").model.count_params() == model.count_params()
