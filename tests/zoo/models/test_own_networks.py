"""Test that networks of user modules are registered, trained, drawn, scored and exported."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from keras import layers

import zoo
from tests.conftest import Command
from zoo import list as zoo_list
from zoo.data import Dataset
from zoo.errors import InputError
from zoo.models import cost
from zoo.runs import Run

# It computes something on import, as user modules may.
MODULE = '''
import keras
import zoo
from keras import layers

print(float(keras.ops.sum(keras.ops.ones(3))))


@keras.saving.register_keras_serializable(package="shop")
class Twice(layers.Layer):
    def call(self, x):
        return 2 * x


@zoo.register_model(input_shape=(28, 28, 1), classes=10, batch_statistics=True)
def shop_net(input_shape, classes):
    """A network with a shortcut, a normalization and a layer of the user."""
    image = keras.Input(input_shape)
    x = layers.Rescaling(1 / 255)(image)
    x = Twice()(x)
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    y = layers.Conv2D(8, 3, padding="same", use_bias=False)(x)
    y = layers.BatchNormalization(momentum=0.9)(y)
    x = layers.Flatten()(layers.ReLU()(x + y))
    return keras.Model(image, layers.Dense(classes, dtype="float32")(x))
'''
IMPORT = ("--import", "shop.nets")


@pytest.fixture(scope="module")
def shop(command: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a user's package, a run of its network and a picture."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "shop").mkdir()
    (folder / "shop" / "nets.py").write_text(MODULE)
    (folder / "broken.py").write_text("import keras\nraise RuntimeError('first\\nsecond')\n")
    (folder / "leaving.py").write_text("raise SystemExit(0)\n")
    (folder / "taken.py").write_text(
        "import zoo\n@zoo.register_model(input_shape=(8, 8, 1), classes=2)\ndef ltfn5(): ...\n"
    )
    arguments = ("--data", "digits", "--steps", 150, "--set", "learning_rate=0.01", *IMPORT)
    done = command("zoo.train", "shop-net", *arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("next: python -m export runs/shop-net --import shop.nets\n")
    return folder


def test_layers_without_names_begin_with_their_weights(command: Command, shop: Path) -> None:
    # A step at this rate changes nothing.
    recipe = ("--data", "digits", "--steps", 1, "--set", "learning_rate=1e-9")
    start = ("--weights", "runs/shop-net", "--out", "runs/tuned", *IMPORT)
    done = command("zoo.train", "shop-net", *recipe, *start, cwd=shop)
    assert done.returncode == 0, done.stderr
    tuned, source = (Run(shop / "runs" / name).read_result() for name in ("tuned", "shop-net"))
    assert tuned["test_correct"] == source["test_correct"]


def test_a_run_records_the_module(shop: Path) -> None:
    result = Run(shop / "runs" / "shop-net").read_result()
    assert (result["model"], result["module"]) == ("shop-net", "shop.nets")
    assert result["test_accuracy"] > 0.8


def test_a_run_is_scored_and_answers(command: Command, shop: Path, digits: Dataset) -> None:
    result = Run(shop / "runs" / "shop-net").read_result()
    told = command("zoo.evaluate", "runs/shop-net", "--json", *IMPORT, cwd=shop).stdout
    assert json.loads(told[told.index("{") :])["correct"] == result["test_correct"]
    PIL.Image.fromarray(digits.test.images[0, :, :, 0]).save(shop / "digit.png")
    done = command("zoo.predict", "runs/shop-net", "digit.png", *IMPORT, cwd=shop)
    assert done.returncode == 0, done.stderr
    assert "digit.png: " in done.stdout


def test_a_changed_function_is_noticed(command: Command, shop: Path, tmp_path: Path) -> None:
    shutil.copytree(shop, tmp_path / "changed")
    nets = tmp_path / "changed" / "shop" / "nets.py"
    nets.write_text(MODULE.replace("layers.ReLU()", "layers.ELU()"))
    run = Run(tmp_path / "changed" / "runs" / "shop-net")
    line = ("runs/shop-net", *IMPORT)
    done = command("zoo.evaluate", *line, cwd=tmp_path / "changed")
    assert done.returncode == 2
    assert "the function of shop-net in shop.nets was changed after runs/shop-net" in done.stderr
    run.result.unlink()
    done = command("zoo.train", "shop-net", "--resume", *IMPORT, cwd=tmp_path / "changed")
    assert done.returncode == 2
    assert "the function of shop-net was changed after runs/shop-net was begun" in done.stderr


def test_a_run_names_the_module_that_it_needs(shop: Path) -> None:
    with pytest.raises(InputError, match=r"shop\.nets registers; give --import shop\.nets"):
        zoo.load_model(shop / "runs" / "shop-net")


def test_an_unknown_network_reminds_of_the_option(command: Command, shop: Path) -> None:
    done = command("zoo.train", "shop-net", cwd=shop)
    assert done.returncode == 2
    assert "and your own with --import MODULE" in done.stderr


def test_it_is_exported_to_formats_that_rebuild_its_layers(command: Command, shop: Path) -> None:
    formats = ("--formats", "saved_model,float32,onnx")
    done = command("export", "runs/shop-net", *formats, *IMPORT, cwd=shop)
    assert done.returncode == 0, done.stderr
    assert (shop / "exports" / "shop-net" / "1" / "onnx" / "shop-net.onnx").is_file()


def test_it_is_drawn(command: Command, shop: Path) -> None:
    done = command("zoo.draw", "shop-net", *IMPORT, cwd=shop)
    assert done.returncode == 0, done.stderr
    assert "shop-net: " in (shop / "shop-net.svg").read_text(encoding="utf-8")


def test_it_is_listed_with_its_costs(command: Command, shop: Path) -> None:
    told = command("zoo.list", "--json", *IMPORT, cwd=shop).stdout
    (found,) = [each for each in json.loads(told[told.index("[") :]) if each["name"] == "shop-net"]
    assert found["origin"] == "shop.nets"
    assert found["parameters"] == 80 + 576 + 32 + 14 * 14 * 8 * 10 + 10
    assert found["multiply_adds"] == 14 * 14 * (72 + 576) + 14 * 14 * 8 * 10
    assert found["largest_activation"] == 4 * 14 * 14 * 8


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("nothing", "ModuleNotFoundError: No module named 'nothing'; it must be in the current"),
        ("broken", "RuntimeError: first; it must be in the current folder or installed"),
        ("leaving", "SystemExit: 0; it must be in the current folder or installed"),
        ("taken", "--import taken: taken registers the model 'ltfn5', but zoo.models.ltfn already"),
    ],
)
@pytest.mark.usefixtures("registered")
def test_a_module_that_cannot_be_used_is_an_error_of_one_line(
    shop: Path, module: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(shop)
    with pytest.raises(InputError) as caught:
        zoo_list.main(["--import", module])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def _network(end: Callable[[Any], Any], channels: int = 1) -> keras.Model:
    image = keras.Input((8, 8, channels))
    return keras.Model(image, end(layers.Flatten()(image)))


def _nested() -> keras.Model:
    image = keras.Input((8, 8, 1))
    return keras.Model(image, layers.Dense(3)(_network(layers.Dense(3, name="inner"))(image)))


def _normalized() -> keras.Model:
    image = keras.Input((8, 8, 1))
    x = layers.Flatten()(layers.BatchNormalization()(image))
    return keras.Model(image, layers.Dense(3, dtype="float32")(x))


class _Block(keras.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.norm = layers.BatchNormalization()

    def build(self, input_shape: Any) -> None:
        self.norm.build(input_shape)

    def call(self, inputs: Any) -> Any:
        return self.norm(inputs)


class _Penalized(keras.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(3, activity_regularizer="l2")

    def build(self, input_shape: Any) -> None:
        self.dense.build(input_shape)

    def call(self, inputs: Any) -> Any:
        return self.dense(inputs)


BAD = {
    "nothing": (lambda: None, "own in .* returned NoneType; return a functional model"),
    "sequential": (
        lambda: keras.Sequential([layers.Dense(3)]),
        "own in .* returned Sequential; return a",
    ),
    "failing": (lambda: 1 // 0, "8x8x1 and 3 classes: ZeroDivisionError: integer division"),
    "classes": (lambda: _network(layers.Dense(4)), r"it must map \(None, 8, 8, 1\) to"),
    "channels": (
        lambda: _network(layers.Dense(3), 2),
        "own in .* returned a model that maps .* it must map",
    ),
    "precision": (lambda: _network(layers.Dense(3)), 'set dtype="float32" in its last layer'),
    "softmax": (
        lambda: _network(layers.Dense(3, activation="softmax", dtype="float32")),
        "must return logits: remove the softmax",
    ),
    "softmax layer": (
        lambda: _network(lambda x: layers.Softmax(dtype="float32")(layers.Dense(3)(x))),
        "must return logits: remove the softmax",
    ),
    "softmax operation": (
        lambda: _network(lambda x: keras.ops.softmax(layers.Dense(3, dtype="float32")(x))),
        "must return logits: remove the softmax",
    ),
    "softmax before a reshape": (
        lambda: _network(
            lambda x: layers.Reshape((3,))(layers.Dense(3, "softmax", dtype="float32")(x))
        ),
        "must return logits: remove the softmax",
    ),
    "softmax before a cast": (
        lambda: _network(
            lambda x: keras.ops.cast(keras.ops.softmax(layers.Dense(3)(x)), "float32")
        ),
        "must return logits: remove the softmax",
    ),
    "softmax before a dropout": (
        lambda: _network(
            lambda x: layers.Dropout(0.5)(layers.Dense(3, tf.nn.softmax, dtype="float32")(x))
        ),
        "must return logits: remove the softmax",
    ),
    "sigmoid": (
        lambda: _network(layers.Dense(3, activation="sigmoid", dtype="float32")),
        "must return logits: remove the sigmoid",
    ),
    "regularized": (
        lambda: _network(layers.Dense(3, kernel_regularizer="l2", dtype="float32")),
        "a model with a regularizer, which the training would leave out",
    ),
    "regularized within a layer": (
        lambda: _network(lambda x: layers.Dense(3, dtype="float32")(_Penalized()(x))),
        "a model with a regularizer, which the training would leave out",
    ),
    "nested": (_nested, "contains another model, 'functional"),
    "normalized": (_normalized, r"register it with register_model\(batch_statistics=True"),
    "normalized within a layer": (
        lambda: _network(lambda x: layers.Dense(3, dtype="float32")(_Block()(x))),
        r"register it with register_model\(batch_statistics=True",
    ),
}


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("name", BAD)
def test_a_function_that_returns_no_such_network_is_refused(name: str) -> None:
    build, message = BAD[name]

    @zoo.register_model(input_shape=(8, 8, 1), classes=3)
    def own(input_shape: tuple[int, int, int], classes: int) -> object:
        return build()

    with pytest.raises(InputError, match=message):
        zoo.create_model("own", precision="bfloat16" if name == "precision" else "float32")


@pytest.mark.usefixtures("registered")
def test_a_notebook_registers_its_network_again() -> None:
    for count in (3, 4):

        @zoo.register_model(input_shape=(8, 8, 1), classes=count)
        def own(input_shape: tuple[int, int, int], classes: int) -> keras.Model:
            return _network(layers.Dense(classes, dtype="float32"))

    model = zoo.create_model("own")
    assert (model.name, model.output_shape) == ("own", (None, 4))


@pytest.mark.usefixtures("registered")
def test_a_name_is_registered_once() -> None:
    with pytest.raises(InputError, match=r"the model 'ltfn5', but zoo\.models\.ltfn"):

        @zoo.register_model(input_shape=(8, 8, 1), classes=3)
        def ltfn5() -> None: ...


@pytest.mark.parametrize(
    ("layer", "count"),
    [
        (layers.Conv2D(6, 3, groups=2), 6 * 6 * 9 * 6),
        (layers.SeparableConv2D(6, 3), 6 * 6 * (9 * 2 + 2 * 6)),
        (layers.Dense(5), 8 * 8 * 2 * 5),
        (layers.BatchNormalization(), 0),
    ],
)
def test_multiply_adds_of_kinds_that_the_zoo_lacks(layer: layers.Layer, count: int) -> None:
    layer(np.zeros((1, 8, 8, 2), np.float32))
    image = keras.Input((8, 8, 2))
    assert cost.multiply_adds(keras.Model(image, layer(image))) == count
