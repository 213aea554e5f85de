"""A person's own Keras file: exported and proven as the zoo's networks are."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import export
from export import saved_model
from export.sources import from_keras
from tests.conftest import Command
from zoo.data import Dataset
from zoo.errors import InputError
from zoo.preprocessing import Preprocessing


def _classifier(*, white: int, softmax: bool, sequential: bool) -> keras.Model:
    head = [layers.Conv2D(8, 3, strides=2, activation="relu"), layers.Flatten()]
    head += [layers.Dense(10, activation="softmax" if softmax else None)]
    if white == 255:
        head.insert(0, layers.Rescaling(1 / 255))
    if sequential:
        return keras.Sequential([keras.Input((28, 28, 1)), *head])
    x = image = keras.Input((28, 28, 1))
    for layer in head:
        x = layer(x)
    return keras.Model(image, x)


@pytest.mark.parametrize("sequential", [False, True])
@pytest.mark.parametrize("softmax", [False, True])
@pytest.mark.parametrize("white", [1, 255])
def test_its_logits_are_what_its_own_results_say(
    white: int, softmax: bool, sequential: bool, tmp_path: Path
) -> None:
    model = _classifier(white=white, softmax=softmax, sequential=sequential)
    model.save(tmp_path / "mine.keras")
    source = from_keras(tmp_path / "mine.keras", white)
    assert (source.name, source.notes) == ("mine", ())
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1), np.uint8)
    own = model(images.astype(np.float32) * (white / 255))
    for network in (source.model, source.deployed):
        logits = network(images)
        results = keras.ops.softmax(logits) if softmax else logits
        np.testing.assert_allclose(results, own, atol=1e-5 * float(np.ptp(own)))
    scalings = [each for each in source.deployed.layers if isinstance(each, layers.Rescaling)]
    assert not scalings


def test_a_scaling_that_cannot_be_folded_stays_and_is_told(tmp_path: Path) -> None:
    image = keras.Input((28, 28, 1))
    x = layers.Rescaling(1 / 127.5, offset=-1)(image)
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))
    model.save(tmp_path / "mine.keras")
    source = from_keras(tmp_path / "mine.keras", 255)
    assert "cannot be folded" in source.notes[0]
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1), np.uint8)
    np.testing.assert_allclose(source.deployed(images), model(images), atol=1e-4)


def _saved(folder: Path, name: str, *stack: keras.Layer, shape: tuple[int | None, ...]) -> Path:
    x = image = keras.Input(shape)
    for layer in stack:
        x = layer(x)
    keras.Model(image, x).save(folder / name)
    return folder / name


def test_what_is_no_image_classifier_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.keras").write_text("no archive")
    with pytest.raises(InputError, match=r"text\.keras cannot be exported"):
        from_keras(tmp_path / "text.keras", 255)
    file = _saved(tmp_path, "cut.keras", layers.Flatten(), layers.Dense(9), shape=(4, 4, 1))
    content = bytearray(file.read_bytes())
    content[content.index(b"model.weights.h5") + 3_000] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"cut\.keras cannot be exported"):
        from_keras(file, 255)
    file = _saved(tmp_path, "flat.keras", layers.Dense(2), shape=(4,))
    with pytest.raises(InputError, match=r"takes a network of images .* received \(None, 4\)"):
        from_keras(file, 255)
    file = _saved(tmp_path, "any.keras", layers.GlobalAveragePooling2D(), shape=(None, None, 1))
    with pytest.raises(InputError, match="takes a network of images"):
        from_keras(file, 255)
    stack = (layers.Flatten(), layers.Dense(2, activation="sigmoid"))
    file = _saved(tmp_path, "sigmoid.keras", *stack, shape=(4, 4, 1))
    with pytest.raises(InputError, match="ends in logits or softmax, not sigmoid"):
        from_keras(file, 255)
    stack = (layers.Flatten(), layers.Dense(2, dtype="mixed_bfloat16"))
    file = _saved(tmp_path, "bfloat16.keras", *stack, shape=(4, 4, 1))
    with pytest.raises(InputError, match="takes float32 layers"):
        from_keras(file, 255)
    file = _saved(tmp_path, "a b.keras", layers.Flatten(), shape=(4, 4, 1))
    with pytest.raises(InputError, match="rename it"):
        from_keras(file, 255)


def test_code_within_the_file_is_not_run(tmp_path: Path) -> None:
    file = _saved(
        tmp_path, "code.keras", layers.Flatten(), layers.Lambda(lambda x: x + 1), shape=(4, 4, 1)
    )
    with pytest.raises(InputError, match=r"code\.keras cannot be exported: .*[Ll]ambda"):
        from_keras(file, 255)


@pytest.mark.slow
def test_it_is_exported_and_verified(digits: Dataset, tmp_path: Path, command: Command) -> None:
    model = _classifier(white=1, softmax=True, sequential=True)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(digits.train.images / 255, digits.train.labels, epochs=5, verbose=0)
    model.save(tmp_path / "mine.keras")
    options = ("--data", "digits", "--white", 1, "--formats", "all")
    done = command("export", "mine.keras", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    version = tmp_path / "exports" / "mine" / "1"
    manifest = json.loads((version / "manifest.json").read_text())
    assert manifest["origin"]["keras_file"]["name"] == "mine.keras"
    images = digits.test.images
    own = model.predict(images / 255, verbose=0).argmax(axis=1)
    assert manifest["reference"]["correct"] == np.sum(own == digits.test.labels) > 300
    for artifact in manifest["artifacts"]:
        computed = export.load(version, runtime=artifact["format"])(images).argmax(axis=1)
        assert np.sum(computed != own) <= 3, artifact["format"]


def test_what_a_format_cannot_hold_is_said_before_anything_is_converted(
    tmp_path: Path, command: Command
) -> None:
    stack = (layers.UpSampling2D(2), layers.Flatten(), layers.Dense(10))
    _saved(tmp_path, "mine.keras", *stack, shape=(8, 8, 1))
    done = command("export", "mine.keras", "--data", "digits", cwd=tmp_path)
    assert done.returncode == 2
    assert "Converting" not in done.stdout
    complaint = done.stderr.splitlines()[-1]
    assert "format microcontroller cannot hold UpSampling2D (layer 'up_sampling2d" in complaint
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
    assert "mine takes images of 8x8x3 and knows 3 classes; digits has 8x8x1 and 10" in complaint
