"""Identify what a network computes, to notice that its function was changed after a training."""

from __future__ import annotations

import functools
import json
from typing import Any

from etils import epy

from zoo.models import registry
from zoo.util import atomic

with epy.lazy_imports():
    import keras

# They do not change what a trained network computes. Keras numbers names anew in each process.
_IGNORED = ("name", "dtype", "trainable", "seed")


def fingerprint(model: keras.Model) -> dict[str, str] | None:
    """Return what changes with the layers of a network, their settings and their connections.

    It does not depend on the names of layers, the precision, initializers, seeds, or the code of a
    ``Lambda``.

    Args:
        model: a functional model.

    Returns:
        ``sha256``, and ``keras``, the version that described the layers: fingerprints of different
        versions cannot be compared. None if a layer cannot be described.
    """
    try:
        config = model.get_config()
        numbers = {each["name"]: number for number, each in enumerate(config["layers"])}
        ends = [_references(config[key], numbers) for key in ("input_layers", "output_layers")]
        described = [_described(config["layers"], numbers), ends]
        text = json.dumps(described, sort_keys=True, default=_plain)
    except Exception:  # a layer of the user's own may lack get_config, or return anything
        return None
    return {"keras": keras.version(), "sha256": atomic.sha256_of(text.encode())}


def fingerprint_of(
    name: str, input_shape: tuple[int, int, int], classes: int
) -> dict[str, str] | None:
    """Return the fingerprint of the network that the function of this name builds now.

    Raises:
        InputError: as ``create_model`` does.
    """
    # A notebook may register another function under the same name.
    return _built(name, registry.get_spec(name).build, input_shape, classes)


@functools.cache
def _built(
    name: str, build: registry.Build, input_shape: tuple[int, int, int], classes: int
) -> dict[str, str] | None:
    return fingerprint(registry.create_model(name, input_shape=input_shape, classes=classes))


def differ(one: dict[str, str] | None, other: dict[str, str] | None) -> bool:
    """Return whether two fingerprints are known to be of different networks."""
    return bool(one and other and one["keras"] == other["keras"] and one != other)


def _described(config: Any, numbers: dict[str, int]) -> Any:
    if isinstance(config, list | tuple):
        return [_described(value, numbers) for value in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "__lambda__":
        return "function"  # its code contains line numbers and the path of its file
    # A registered class is known by this name, wherever it is defined.
    ignored = (*_IGNORED, "module") if config.get("registered_name") else _IGNORED
    return {
        str(key): _references(value, numbers)
        if key == "keras_history"
        else _described(value, numbers)
        for key, value in config.items()
        if key not in ignored and not str(key).endswith("initializer")
    }


def _references(value: Any, numbers: dict[str, int]) -> Any:
    """Return references to tensors with the numbers of their layers in place of the names."""
    if isinstance(value, list | tuple):
        return [_references(each, numbers) for each in value]
    return f"layer {numbers[value]}" if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else type(value).__name__
