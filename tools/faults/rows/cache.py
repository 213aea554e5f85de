"""Damage the cache of decoded images, then load the dataset."""

from __future__ import annotations

import shutil

import numpy as np

from tools.faults.harness import Injected, Place, flip_bit
from zoo import data
from zoo.data.splits import Split

BEFORE = "0 of 7"
WHAT = "decoded images with a flipped bit, cut, empty, missing or exchanged"
COUNT = 400


def inject(place: Place, random: np.random.Generator, count: int) -> Injected:
    """Damage a file of the cache: the images must be decoded anew, and be the same."""
    prepared = place.environment["TFDS_DATA_DIR"]
    first = data.load("digits", data_dir=prepared)
    root = shutil.copytree(prepared, place.folder / "cache")
    for number in range(count):
        files = sorted(path for path in root.rglob("decoded/*/*") if path.suffix != ".lock")
        path, other = random.choice(np.array(files), 2, replace=False)
        content = path.read_bytes()
        kind = str(random.choice(["flip", "cut", "empty", "missing", "exchanged"]))
        if kind == "flip":
            flip_bit(path, content, random)
        elif kind == "cut":
            path.write_bytes(content[: int(random.integers(len(content)))])
        elif kind == "empty":
            path.write_bytes(b"")
        elif kind == "missing":
            path.unlink()
        else:
            path.write_bytes(other.read_bytes())
        fault = f"{number}: {path.name} {kind}"
        try:
            found = data.load("digits", data_dir=str(root), announce=lambda line: None)
        except Exception as error:  # what must not happen
            yield fault, f"{type(error).__name__}: {error}"
            continue
        same = all(
            np.array_equal(getattr(split, name), getattr(again, name))
            for split, again in zip(_splits(first), _splits(found), strict=True)
            for name in ("images", "labels")
        )
        yield fault, None if same else "other images were returned"


def _splits(dataset: data.Dataset) -> tuple[Split, ...]:
    return dataset.train, dataset.validation, dataset.test
