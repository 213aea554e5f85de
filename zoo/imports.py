"""A user's own modules, imported by name: they register networks and Keras layers."""

from __future__ import annotations

import importlib

from zoo.errors import InputError, ZooError, one_line

_imported: list[str] = []


def import_module(name: str) -> None:
    """Import a module that registers networks.

    Args:
        name: as in an import statement; ``python -m`` also finds it in the current folder.

    Raises:
        InputError: there is no such module, or it fails.
    """
    try:
        importlib.import_module(name)
    except ZooError as error:
        raise InputError(f"--import {name}: {error}") from error
    except (Exception, SystemExit) as error:  # of a user's module anything
        raise InputError(
            f"--import {name}: the module cannot be imported: {one_line(error)}; it must be in the "
            f"current folder or installed, and `python -c 'import {name}'` must succeed"
        ) from error
    _imported.append(name)


def options() -> list[str]:
    """Return the options with which a subprocess imports the same modules."""
    return [text for name in _imported for text in ("--import", name)]
