"""Test how the conversion subprocesses report failures."""

from __future__ import annotations

import argparse
import errno
import json
from pathlib import Path

import keras
import pytest
from keras import layers

from export.convert import conversion, saved_model, tflite


def _arguments(folder: Path) -> argparse.Namespace:
    targets = [(name, folder / name) for name in ("first", "second")]
    return argparse.Namespace(targets=targets, failures=folder / "failures.json")


def test_a_failed_format_is_reported_and_the_others_are_written(tmp_path: Path) -> None:
    def convert(name: str, file: Path) -> None:
        if name == "first":
            raise ValueError("no such operation\nat length")
        file.write_text("converted")

    conversion.convert_each(_arguments(tmp_path), convert)
    assert json.loads((tmp_path / "failures.json").read_text()) == {"first": "no such operation"}
    assert (tmp_path / "second").is_file()


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), MemoryError()])
def test_system_errors_are_raised(error: Exception, tmp_path: Path) -> None:
    def convert(name: str, file: Path) -> None:
        raise error

    with pytest.raises(type(error)):
        conversion.convert_each(_arguments(tmp_path), convert)
    assert not (tmp_path / "failures.json").exists()


@pytest.mark.parametrize("name", ["inverse", "inverse_1", "inverse_2"])
def test_an_operation_that_litert_lacks_is_named_with_its_layer(name: str, tmp_path: Path) -> None:
    image = keras.Input((4, 4, 1))
    x = layers.Activation(keras.ops.erfinv, name=name)(image / 255)
    saved_model.save_fixed(keras.Model(image, layers.Dense(2)(layers.Flatten()(x))), tmp_path)

    def convert(name: str, file: Path) -> None:
        tflite.convert(tmp_path, "float32")

    conversion.convert_each(_arguments(tmp_path), convert)
    told = json.loads((tmp_path / "failures.json").read_text())
    assert told["first"] == f"it does not support the operation Erfinv of layer {name!r}"
