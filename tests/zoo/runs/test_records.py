from __future__ import annotations

import copy
import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zoo import recipes
from zoo.errors import InputError
from zoo.runs import Run, records, schema


def _leaves(value: Any, at: tuple = ()) -> list[tuple]:
    """Return the paths of all values in a JSON document that contain no others."""
    if not isinstance(value, dict | list):
        return [at]
    keys = value if isinstance(value, dict) else range(len(value))
    return [path for key in keys for path in _leaves(value[key], (*at, key))]


def _holder(document: Any, path: tuple) -> Any:
    for key in path[:-1]:
        document = document[key]
    return document


def _seal(document: dict[str, Any]) -> str:
    """Return a record whose digest is right, although its fields may be wrong."""
    fields = {key: value for key, value in document.items() if key not in ("schema", "digest")}
    return json.dumps(document | {"digest": records.digest(fields)})


@pytest.fixture(scope="module")
def kept(workplace: Path) -> dict[str, dict[str, Any]]:
    """Return the records of a real run."""
    run = Run(workplace / "runs" / "ltfn5")
    return {path.name: json.loads(path.read_text()) for path in (run.recipe, run.result)}


READERS: dict[str, Callable[[Path], Any]] = {
    "recipe.json": records.read_request,
    "result.json": records.read_result,
}


@pytest.fixture(params=READERS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_a_record_comes_back(name: str, kept: dict, tmp_path: Path) -> None:
    fields = {key: value for key, value in kept[name].items() if key not in ("schema", "digest")}
    records.write(tmp_path / name, fields)
    assert READERS[name](tmp_path / name) == fields
    assert json.loads((tmp_path / name).read_text()) == kept[name]


def test_a_path_that_is_not_utf8_comes_back(name: str, kept: dict, tmp_path: Path) -> None:
    fields = {key: value for key, value in kept[name].items() if key not in ("schema", "digest")}
    fields |= {"data": fields["data"] | {"source": os.fsdecode(b"/caf\xe9/pets")}}
    records.write(tmp_path / name, fields)
    assert READERS[name](tmp_path / name) == fields


def test_any_changed_value_is_refused(name: str, kept: dict, tmp_path: Path) -> None:
    path = tmp_path / name
    for leaf in _leaves(kept[name]):
        document = copy.deepcopy(kept[name])
        holder, value = _holder(document, leaf), _holder(document, leaf)[leaf[-1]]
        # Another value of the same type, so that only the digest shows the change.
        other = {str: f"{value}x", bool: not value, type(None): 1}.get(type(value), value)
        holder[leaf[-1]] = value + 1 if other == value else other
        path.write_text(json.dumps(document))
        with pytest.raises(InputError, match=name):
            READERS[name](path)


def test_a_missing_key_is_named(name: str, kept: dict, tmp_path: Path) -> None:
    path = tmp_path / name
    for leaf in _leaves(kept[name]):
        # Runs of earlier versions have fewer.
        added = {"schema", "digest", "workers", "teachers", "architecture"} | schema.ADDED
        if isinstance(leaf[-1], int) or leaf[0] in added or leaf[-1] in added:
            continue
        document = copy.deepcopy(kept[name])
        del _holder(document, leaf)[leaf[-1]]
        path.write_text(_seal(document))
        dotted = ".".join(leaf)
        where = rf"{name}: ({dotted}: Field required|.*{leaf[-1]} is missing)"
        with pytest.raises(InputError, match=where):
            READERS[name](path)


def test_a_record_of_an_earlier_version_is_completed(name: str, kept: dict, tmp_path: Path) -> None:
    document = copy.deepcopy(kept[name])
    del document["teachers"], document["architecture"]
    for key in schema.ADDED:
        del document["recipe"][key]
    (tmp_path / name).write_text(_seal(document))
    fields = {key: value for key, value in kept[name].items() if key not in ("schema", "digest")}
    assert READERS[name](tmp_path / name) == fields | {"architecture": None}


# Values of another type than each value has, or far out of its range.
WRONG = {"list": [], "object": {}, "huge": 10**400, "nan": float("nan")}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_value_of_another_type_or_range_is_named(
    wrong: str, name: str, kept: dict, tmp_path: Path
) -> None:
    path = tmp_path / name
    for leaf in _leaves(kept[name]):
        if leaf[0] in ("schema", "digest"):
            continue
        document = copy.deepcopy(kept[name])
        _holder(document, leaf)[leaf[-1]] = WRONG[wrong]
        path.write_text(_seal(document))
        with pytest.raises(InputError, match=name):
            READERS[name](path)


def test_a_surplus_key_is_named(name: str, kept: dict, tmp_path: Path) -> None:
    path = tmp_path / name
    for inside in ((), ("data",), ("recipe",), ("data", "preprocessing")):
        document = copy.deepcopy(kept[name])
        _holder(document, (*inside, ""))["more"] = 1
        path.write_text(_seal(document))
        with pytest.raises(InputError, match=rf"{name}: {'.'.join((*inside, 'more'))}: "):
            READERS[name](path)


def test_another_schema_is_named(name: str, kept: dict, tmp_path: Path) -> None:
    path = tmp_path / name
    for version in (records.SCHEMA + 1, None):
        path.write_text(json.dumps(kept[name] | {"schema": version}))
        with pytest.raises(
            InputError, match=rf"{name} has schema {version}, but this .* schema {records.SCHEMA};"
        ):
            READERS[name](path)


NO_RECORDS = ["", "{", "[]", "1", '"', "null", "[" * 100_000, "\udc80", "9" * 9999]


@pytest.mark.parametrize("text", NO_RECORDS)
def test_what_is_no_record_is_refused(text: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=name):
        READERS[name](path)


ROWS = [
    {"step": 0, "cost": 2.5, "accuracy": 0.125, "seconds": 0.5},
    {"step": 100, "cost": 0.5, "accuracy": 0.875, "seconds": 9.5},
    {"step": 100, "validation_accuracy": 0.75},
]


def _write_rows(path: Path, rows: list[Any]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def test_an_incomplete_last_row_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    _write_rows(path, ROWS)
    whole = path.read_bytes()
    for end in range(len(whole) + 1):
        path.write_bytes(whole[:end])
        assert records.read_metrics(path) == ROWS[: whole[:end].count(b"\n")]


@pytest.mark.parametrize(
    "change",
    [
        {"cost": None},
        {"cost": float("nan")},
        {"accuracy": 1.5},
        {"step": -1},
        {"step": 0.5},
        {"step": 101},  # larger than that of the next row
        {"more": 1},
    ],
)
def test_a_wrong_row_is_named(change: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    _write_rows(path, [ROWS[0], ROWS[1] | change, ROWS[2]])
    with pytest.raises(InputError, match=r"metrics\.jsonl, line [23]: "):
        records.read_metrics(path)


def test_missing_metrics_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"metrics\.jsonl is missing"):
        records.read_metrics(tmp_path / "metrics.jsonl")


def test_a_training_is_described_by_what_differs_from_its_recipe() -> None:
    recipe = dataclasses.asdict(recipes.get_recipe("best").replace(shift=7, seed=5, epochs=9))
    start = {"weights": "/home/runs/mine", "sha256": "0" * 64, "freeze": "layer1"}
    teachers = [{"run": "/home/runs/large", "sha256": "0" * 64}, {"run": "ltfn5", "sha256": "1"}]
    result: dict[str, Any] = {"recipe": recipe, "start": None, "teachers": []}
    assert records.described(result) == "best epochs=9 shift=7"
    assert records.described(result | {"start": start, "teachers": teachers}) == (
        "best epochs=9 shift=7 weights=mine freeze=layer1 teachers=large,ltfn5"
    )
    short = dataclasses.asdict(recipes.get_recipe("quick").replace(epochs=4))
    assert records.described(result | {"recipe": short}) == "quick minimum_steps=1"
    # A recipe of the user's own has no usual values.
    assert records.described(result | {"recipe": recipe | {"name": "mine"}}) == "mine"
