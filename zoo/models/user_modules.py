"""Import user-supplied modules that register networks or define Keras layers."""

from __future__ import annotations

import importlib
from types import ModuleType

from etils import epy

from zoo.errors import InputError, ZooError, one_line

with epy.lazy_imports():
    import keras

_imported: list[str] = []


def import_module(name: str) -> None:
    """Import a module that registers networks or defines layers.

    A Keras file can refer to the module's classes and functions even if they are not registered
    with Keras.

    Args:
        name: name as in an import statement; ``python -m`` also finds modules in the current
            folder.

    Raises:
        InputError: the module does not exist or its import fails.
    """
    try:
        module = importlib.import_module(name)
    except ZooError as error:
        raise InputError(f"--import {name}: {error}") from error
    except (Exception, SystemExit) as error:  # a user's module may raise anything
        raise InputError(
            f"--import {name}: the module cannot be imported: {one_line(error)}; it must be in the "
            f"current folder or installed, and `python -c 'import {name}'` must succeed"
        ) from error
    _imported.append(name)
    _name_objects(module)


def _name_objects(module: ModuleType) -> None:
    """Add the classes and functions that a module defines to Keras' custom objects."""
    known = keras.saving.get_custom_objects()
    for name, value in vars(module).items():
        if callable(value) and getattr(value, "__module__", None) == module.__name__:
            known.setdefault(name, value)


def options() -> list[str]:
    """Return the command-line options that make a subprocess import the same modules."""
    return [text for name in _imported for text in ("--import", name)]
