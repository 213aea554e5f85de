"""Training time per image for different numbers and sizes of images."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from tools.bench.race import run_interleaved, serve
from tools.bench.results import Result, median
from tools.bench.steps import training_step
from zoo import recipes
from zoo.data import Dataset
from zoo.data.preprocessing import Preprocessing
from zoo.data.splits import Split
from zoo.training import loop, parallelism
from zoo.util import backend

_COUNTS = (1_000, 60_000, 600_000)
_SIZES = (28, 56, 112)
_STEPS = 8
_BATCH = 100


def measure(rounds: int) -> Result:
    """Time training on datasets of several lengths and on images of several sizes."""
    courses = [*(f"{count} 28" for count in _COUNTS), *(f"1000 {size}" for size in _SIZES[1:])]
    found = run_interleaved({"zoo": [__name__]}, courses, rounds)
    milliseconds = {course: 1e3 * median(found[course]["zoo"]) for course in courses}
    first = milliseconds[courses[0]]
    rows = []
    for course in courses:
        count, size = map(int, course.split())
        adds = size**2 / 28**2  # true of every layer of ltfn5, including the last
        cost = milliseconds[course] / first
        cells = (f"{milliseconds[course]:.2f}", f"{cost:.2f}", f"{adds:.2f}", f"{cost / adds:.2f}")
        rows.append([f"{count:,}", f"{size}x{size}", *cells])
    batches = [str(_batch(size)) for size in _SIZES]
    return Result(
        title="training ltfn5, milliseconds for an image",
        columns=["images", "size", "ms", "cost", "multiply-adds", "cost / multiply-adds"],
        rows=rows,
        notes=(
            f"Medians of {rounds} rounds in float32 on synthetic images in a memory-mapped file, "
            f"shuffled and shifted, in batches of {', '.join(batches[:-1])} and {batches[-1]} "
            "images for the three sizes; the last three columns are relative to the first row."
        ),
        headlines={
            f"training time of an image: of {_COUNTS[-1]:,} / of {_COUNTS[0]:,} images": (
                f"{milliseconds[courses[len(_COUNTS) - 1]] / first:.2f}"
            )
        },
        figures=found,
    )


def main() -> None:
    """Serve the zoo's training loop; a course is ``COUNT SIZE``, measured in seconds per image."""
    backend.start_tensorflow()
    recipe = recipes.get_recipe("quick").replace(
        precision="float32", steps=1_000_000, batch_size=_BATCH
    )
    parallelism.prepare(recipe, ["ltfn5"])
    recipe = parallelism.resolve(recipe, "ltfn5")
    started: dict[str, Any] = {}

    def start(course: str) -> tuple[Any, Any, int]:
        count, size = map(int, course.split())
        batch = _batch(size)
        split = _synthetic(Path(scratch), count, size)
        data = Dataset(
            name="synthetic",
            source="synthetic",
            version="1",
            class_names=("0", "1"),
            licence="",
            homepage="",
            preprocessing=Preprocessing(height=size, width=size, channels=1),
            taken=(),
            train=split,
            validation=split,
            test=split,
        )
        sized = recipe.replace(batch_size=batch)
        stream = loop.recipe_batches(sized, data, 0, 1_000_000)
        return training_step(sized, size), stream, batch

    def turn(course: str) -> float:
        if course not in started:
            started[course] = start(course)
        step, stream, batch = started[course]
        begin = time.perf_counter()
        for _ in range(_STEPS):
            float(step(*next(stream))[0])
        return (time.perf_counter() - begin) / (_STEPS * batch)

    with tempfile.TemporaryDirectory() as scratch:
        serve(turn)


def _batch(size: int) -> int:
    """Return the number of images in a batch; larger images have smaller batches."""
    return max(1, _BATCH * 28**2 // size**2)


def _synthetic(folder: Path, count: int, size: int) -> Split:
    """Return random images in a memory-mapped file."""
    random = np.random.default_rng(0)
    shape = (count, size, size, 1)
    images = np.lib.format.open_memmap(folder / f"{count}-{size}.npy", "w+", np.uint8, shape)
    for at in range(0, count, 1_000):
        images[at : at + 1_000] = random.integers(0, 256, (min(1_000, count - at), *shape[1:]))
    return Split("train", images, random.integers(0, 10, count))


if __name__ == "__main__":
    main()
