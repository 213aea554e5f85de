"""Damage the records of a run, then evaluate it or resume it."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from tools.faults.harness import Injected, Place, flip_bit
from zoo.errors import InputError
from zoo.runs import Run, records

BEFORE = "14 of 63"
WHAT = "changed, damaged or exchanged `result.json`, `recipe.json` or `metrics.jsonl`"
COUNT = 400


def inject(place: Place, random: np.random.Generator, count: int) -> Injected:
    """Change a value, a key, a byte or the length of a record, and read it."""
    folder = place.folder / "records"
    readers = {
        "result.json": lambda: Run(folder).read_result(),
        "recipe.json": lambda: Run(folder).read_request(),
        "metrics.jsonl": lambda: records.read_metrics(folder / "metrics.jsonl"),
    }
    for number in range(count):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(place.run, folder)
        name = str(random.choice(list(readers)))
        path = folder / name
        before = readers[name]()
        fault = f"{number}: {_damage(path, random)}"
        try:
            found = readers[name]()
        except InputError as error:
            one_line = "\n" not in str(error) and name in str(error)
            yield fault, None if one_line else f"the message is {str(error)!r}"
        except Exception as error:  # what must not happen
            yield fault, f"{type(error).__name__}: {error}"
        else:
            # Rows of metrics have no digest: they show a training, and decide nothing.
            harmless = found == before or name == "metrics.jsonl"
            yield fault, None if harmless else "it was accepted"


def _damage(path: Path, random: np.random.Generator) -> str:
    """Damage a file, and return how."""
    content = path.read_bytes()
    kind = random.choice(["flip", "cut", "value", "key", "more"])
    if kind == "flip" or path.suffix == ".jsonl":
        at = flip_bit(path, content, random)
        return f"bit {at} of {path.name} flipped"
    if kind == "cut":
        end = int(random.integers(len(content)))
        path.write_bytes(content[:end])
        return f"{path.name} cut after {end} bytes"
    record = json.loads(content)
    holder, key = _some_value(record, random)
    if kind == "value":
        old = copy.deepcopy(holder[key])
        holder[key] = _other(old, random)
        what = f"{key} in {path.name} is {holder[key]!r} instead of {old!r}"
    elif kind == "key" and isinstance(holder, dict):
        del holder[key]
        what = f"{path.name} lacks {key}"
    else:
        record["more"] = 1
        what = f"{path.name} has another key"
    # Half of them are changed by someone who knows how the digest is computed.
    if random.random() < 0.5 and kind != "value":
        fields = {name: value for name, value in record.items() if name not in _FRAME}
        record["digest"] = records.digest(fields)
        what += ", with the right digest"
    path.write_text(json.dumps(record), encoding="utf-8")
    return what


_FRAME = ("schema", "digest")


def _some_value(record: Any, random: np.random.Generator) -> tuple[Any, Any]:
    """Return an object or array of a JSON document, and the key of one of its values."""
    keys = list(record) if isinstance(record, dict) else range(len(record))
    key = keys[int(random.integers(len(keys)))]
    value = record[key]
    if isinstance(value, dict | list) and value:
        return _some_value(value, random)
    return record, key


def _other(value: Any, random: np.random.Generator) -> Any:
    """Return another value, of the same type or not."""
    others = ["x", "", -1, 0, 1, 10**30, 0.5, -0.5, None, True, [], {}, ["x"], f"{value}x"]
    others = [each for each in others if each != value or type(each) is not type(value)]
    return others[int(random.integers(len(others)))]
