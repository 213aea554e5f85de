"""Time to classify one picture with a newly started process."""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

from tools.bench import whole
from tools.bench.models import bundle, run_folder
from tools.bench.results import Result, median
from zoo.bundles.integrity import open_bundle


def measure(rounds: int) -> Result:
    """Time ``zoo.predict`` on a bundle and on a run, interleaved."""
    digit = open_bundle(bundle()).golden_images[0, :, :, 0]
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "digit.png"
        Image.fromarray(digit).save(picture)
        predict = ["-m", "zoo.predict"]
        asked = {
            "a bundle, LiteRT float32": [*predict, bundle(), picture],
            "a bundle, LiteRT int8": [*predict, bundle(), picture, "--runtime", "int8"],
            "a run, Keras": [*predict, run_folder(), picture],
        }
        seconds, peaks = whole.take_turns(asked, rounds)
    first, *_, last = (median(values) for values in seconds.values())
    return Result(
        title="python -m zoo.predict, one picture, whole process, seconds",
        columns=["from", "median (range)", "peak memory"],
        rows=whole.rows(seconds, peaks),
        notes=f"{rounds} rounds; with a bundle, each process verifies every byte of it.",
        headlines={
            "`zoo.predict BUNDLE picture.png`, whole process": f"{first:.2f} s",
            "`zoo.predict RUN picture.png`, whole process": f"{last:.1f} s",
        },
        figures={"seconds": seconds, "megabytes": peaks},
    )
