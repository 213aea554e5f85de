"""Read and write the records of a run; changed and incomplete records are refused.

``recipe.json`` and ``result.json`` are JSON objects with two additional keys: ``schema``, the
version of their fields, and ``digest``, the SHA-256 of all fields. A line of ``metrics.jsonl`` is a
row. ``zoo/runs/schema.py`` defines the fields.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from etils import epy

from zoo import recipes
from zoo.errors import InputError
from zoo.recipes import Recipe
from zoo.util import atomic

with epy.lazy_imports():
    import pydantic

    from zoo.runs import schema

SCHEMA = 2


def digest(fields: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the fields of a record, in any order."""
    return atomic.sha256_of(json.dumps(fields, sort_keys=True).encode())


def write(path: Path, fields: Mapping[str, Any]) -> None:
    """Write a record, with its schema and digest, atomically."""
    atomic.write_json(path, {"schema": SCHEMA, **fields, "digest": digest(fields)})


def read_request(path: Path) -> dict[str, Any]:
    """Return the fields of ``recipe.json``.

    Raises:
        FileNotFoundError: there is no such file.
        NotADirectoryError: what should be the run folder is a file.
        InputError: the record cannot be read, was changed, or was written by another version.
    """
    return _read(path, schema.Request)


def read_result(path: Path) -> dict[str, Any]:
    """Return the fields of ``result.json``; it raises the errors of ``read_request``."""
    return _read(path, schema.Result)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the rows of ``metrics.jsonl``.

    The last line is left out if it is incomplete: the process was killed while it wrote the line.

    Raises:
        InputError: the file is missing, a row has wrong fields, or a smaller step than the row
            before.
    """
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing; train again with --force") from error
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        kind = schema.ValidationRow if b"validation" in line else schema.TrainingRow
        row = _checked(line, kind, f"{path}, line {number}")
        if rows and row["step"] < rows[-1]["step"]:
            raise InputError(f"{path}, line {number}: step {row['step']} follows a later step")
        rows.append(row)
    return rows


def without_paths(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of ``result.json`` with the names of other runs instead of their paths.

    Local paths must not be published.
    """
    start = result["start"] and result["start"] | {"weights": Path(result["start"]["weights"]).name}
    teachers = [teacher | {"run": Path(teacher["run"]).name} for teacher in result["teachers"]]
    return {**result, "start": start, "teachers": teachers}


def described(result: Mapping[str, Any]) -> str:
    """Return the name of a training's recipe, and what differs from it.

    Args:
        result: the fields of ``result.json``.

    Returns:
        The name, then ``key=value`` for each value that differs from the recipe of this name, the
        weights at the start, and the teachers; folders without their path.
    """
    recipe = result["recipe"]
    usual = recipe
    if recipe["name"] in recipes.RECIPES:  # a recipe of the user's own may have any name
        usual = dataclasses.asdict(recipes.get_recipe(recipe["name"]))
    hidden = set(recipes.INCIDENTAL)
    if recipe["epochs"] != usual["epochs"]:
        hidden.add("minimum_steps")  # a new length has no minimum
    parts = [recipe["name"]]
    parts += [
        f"{key}={value}"
        for key, value in recipe.items()
        if key not in hidden and value not in (None, usual[key])
    ]
    if start := result["start"]:
        parts.append(f"weights={Path(start['weights']).name}")
        parts += [f"freeze={start['freeze']}"] if start["freeze"] else []
    if teachers := result["teachers"]:
        parts.append(f"teachers={','.join(Path(each['run']).name for each in teachers)}")
    return " ".join(parts)


def _read(path: Path, kind: type[pydantic.BaseModel]) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        record = json.loads(text)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if not isinstance(record, dict):
        raise InputError(f"{path} is not a record: it contains {type(record).__name__}")
    version, recorded = record.pop("schema", None), record.pop("digest", None)
    if version != SCHEMA:
        raise InputError(
            f"{path} has schema {version}, but this version reads schema {SCHEMA}; use the "
            "version that wrote it, or train again"
        )
    # Python writes a path that is not UTF-8 with lone surrogates, which pydantic does not read.
    _checked(json.dumps(record, ensure_ascii=False).encode("utf-8", "replace"), kind, str(path))
    if recorded != digest(record):
        raise InputError(f"{path} was changed after it was written: its digest does not match")
    # What earlier versions did not record.
    recipe = dataclasses.asdict(Recipe(**record["recipe"]))
    return {"teachers": [], "architecture": None} | record | {"recipe": recipe}


def _checked(text: str | bytes, kind: type[pydantic.BaseModel], where: str) -> dict[str, Any]:
    """Return the fields of a JSON object.

    Raises:
        InputError: they are not those of ``kind``.
    """
    try:
        kind.model_validate_json(text)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(map(str, first["loc"]))
        raise InputError(f"{where}: {name + ': ' if name else ''}{first['msg']}") from error
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    return json.loads(text)
