"""Identify what a network computes, to notice that its function was changed after a training."""

from __future__ import annotations

import json
from typing import Any

from etils import epy

from zoo.util import atomic

with epy.lazy_imports():
    import keras


def fingerprint(model: keras.Model) -> dict[str, str] | None:
    """Return what changes with the layers of a network, their settings and their connections.

    It does not depend on the names of layers, which Keras numbers anew in each process, nor on the
    precision, the initializers or the code of a ``Lambda``.

    Args:
        model: a functional model.

    Returns:
        ``sha256``, and ``keras``, the version that described the layers: fingerprints of different
        versions cannot be compared. None if a layer cannot be described.
    """
    try:
        config = model.get_config()
    except Exception:  # a layer of the user's own may lack get_config, or raise anything
        return None
    names = {each["name"]: f"layer {number}" for number, each in enumerate(config["layers"])}
    names[config["name"]] = "network"
    text = json.dumps(_described(config, names), sort_keys=True, default=_plain)
    return {"keras": keras.version(), "sha256": atomic.sha256_of(text.encode())}


def differ(one: dict[str, str] | None, other: dict[str, str] | None) -> bool:
    """Return whether two fingerprints are known to be of different networks."""
    return bool(one and other and one["keras"] == other["keras"] and one != other)


def _described(config: Any, names: dict[str, str]) -> Any:
    if isinstance(config, dict):
        if config.get("class_name") == "__lambda__":
            return "function"  # its code contains line numbers and the path of its file
        return {
            names.get(key, key): _described(value, names)
            for key, value in config.items()
            if key not in ("dtype", "trainable") and not key.endswith("initializer")
        }
    if isinstance(config, list | tuple):
        return [_described(value, names) for value in config]
    return names.get(config, config) if isinstance(config, str) else config


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else type(value).__name__
