"""Compare the exports of Keras files with the predictions of the original networks.

    python -m tools.check_keras_files FOLDER [NAME[=OPTIONS] ...]

FOLDER contains NAME.keras or NAME.h5, and the folder NAME.data, which has one folder of pictures
for each class, either directly or in train, val and test. The pictures have the network's input
size.
OPTIONS are passed to ``export``, such as ``zero-one="--pixels 0..1"``. If --pixels or --labels are
given, they must be the true ones, because Keras' own predictions are computed with them too.

Each network is exported to the default formats. Every file must predict the same classes as Keras,
except for up to 2 images or 1 %, whichever is larger. The columns of the table are the accuracy of
Keras and of each file on all pictures, or on those in test; in brackets, the number of pictures
whose predicted class differs from Keras; then the export's time, and the memory of its largest
process.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from etils import epy
from PIL import Image

import export
from tools import peak_memory
from zoo import cli
from zoo.bundles.integrity import open_bundle
from zoo.models import user_modules
from zoo.util import backend

with epy.lazy_imports():
    import keras

_DEFAULTS = ("saved_model", "float32", "float16", "dynamic", "int8")


def main(argv: list[str]) -> None:
    """Print a table row for each network.

    Fail if an exported file predicts wrong classes although the export reported no error, or if no
    network was exported.
    """
    parser = argparse.ArgumentParser(prog="tools.check_keras_files", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args(argv)
    backend.start_tensorflow()
    given = dict(name.partition("=")[::2] for name in arguments.names)
    names = given or sorted(path.stem for path in arguments.folder.glob("*.data"))
    if not names:
        sys.exit(f"{arguments.folder} has no network: no folder NAME.data")
    titles = ["network", "Keras", *_DEFAULTS, "time", "memory", "formats left out, or error"]
    _print(titles)
    _print(["---"] * len(titles))
    outcomes = {name: _row(arguments.folder, name, given.get(name, "")) for name in names}
    wrong = [name for name, outcome in outcomes.items() if outcome == "wrong"]
    if wrong:
        sys.exit(f"wrong predictions or a crash: {', '.join(wrong)}")
    if "right" not in outcomes.values():
        sys.exit(f"the export refused every network of {arguments.folder}")


def _row(folder: Path, name: str, options: str) -> Literal["right", "wrong", "refused"]:
    """Print the table row of one network; return its outcome.

    A network is wrong if a file predicts other classes than Keras or the export crashes, and
    refused if the export fails with an error in one line.
    """
    (file,) = (path for path in folder.glob(f"{name}.*") if path.suffix in (".keras", ".h5"))
    data = folder / f"{name}.data"
    chosen = cli.Parser("export", "Options of the export of this network.", imports=True)
    chosen.add_argument("--pixels", default="0..255")
    chosen.add_argument("--labels", default="")
    truth, _ = chosen.parse_known_args(shlex.split(options))
    for module in truth.imports:
        user_modules.import_module(module)
    pictures = data / "test" if (data / "test").is_dir() else data
    found = sorted(each.name for each in pictures.iterdir())
    images, labels = _pictures(pictures, truth.labels.split(",") if truth.labels else found)
    own = _answers(file, _scaled(images, truth.pixels))
    cells = [f"{name} {options}".strip(), _percent(own == labels)]
    with tempfile.TemporaryDirectory() as out:
        line = ["export", file, "--data", data, "--offline", "--out", out, *shlex.split(options)]
        done = _run([sys.executable, "-m", *map(str, line)])
        cost = [f"{done.seconds:.0f} s", f"{done.peak_bytes / 1e6:,.0f} MB"]
        if done.code:
            last = done.errors.strip().splitlines()[-1]
            _print([*cells, *[""] * len(_DEFAULTS), *cost, last])
            is_refused = done.code in (2, 3) and "Traceback" not in done.errors
            return "refused" if is_refused else "wrong"
        flips = []
        version = Path(out) / "1"
        manifest = open_bundle(version).manifest
        held = {each["format"] for each in manifest["artifacts"]}
        for runtime in _DEFAULTS:
            if runtime not in held:
                cells.append("")
                continue
            answers = export.load(version, runtime=runtime)(images).argmax(axis=1)
            flips.append(int(np.sum(answers != own)))
            cells.append(f"{_percent(answers == labels)} ({flips[-1]})")
    left_out = "; ".join(f"{name}: {why}" for name, why in manifest["left_out"].items())
    _print([*cells, *cost, left_out])
    return "right" if max(flips) <= max(2, len(images) // 100) else "wrong"


@dataclass(frozen=True)
class _Done:
    """The result of a command."""

    code: int
    errors: str
    seconds: float
    peak_bytes: int


def _run(command: list[str]) -> _Done:
    """Run a command and measure its time and the memory of its largest process."""
    start = time.perf_counter()
    with tempfile.NamedTemporaryFile("r") as peak:
        line = [sys.executable, peak_memory.__file__, peak.name, *command]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        kilobytes = int(peak.read())
    return _Done(done.returncode, done.stderr, time.perf_counter() - start, 1024 * kilobytes)


def _print(cells: list[str]) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


def _pictures(folder: Path, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return all pictures, uint8 [N, H, W, C], and their labels in the order of ``names``."""
    files = [
        (path, label) for label, name in enumerate(names) for path in (folder / name).iterdir()
    ]
    images = np.stack([np.asarray(Image.open(path)) for path, _ in files])
    images = images.reshape(*images.shape[:3], -1)
    return images, np.array([label for _, label in files])


def _scaled(images: np.ndarray, pixels: str) -> np.ndarray:
    scaled = images.astype(np.float32)
    if pixels == "0..255":
        return scaled
    if pixels == "0..1":
        return scaled / 255
    mode = {"-1..1": "tf", "caffe": "caffe", "imagenet": "torch"}[pixels]
    return keras.applications.imagenet_utils.preprocess_input(scaled, mode=mode)


def _answers(file: Path, images: np.ndarray) -> np.ndarray:
    """Return the class that the original network predicts for each image."""
    model = keras.saving.load_model(file, compile=False)
    outputs = model.predict(images.reshape(-1, *model.input_shape[1:]), verbose=0)
    if outputs.shape[1] > 1:
        return outputs.argmax(axis=1)
    probabilities = outputs.min() >= 0 and outputs.max() <= 1
    return (outputs[:, 0] > (0.5 if probabilities else 0)).astype(int)


def _percent(right: np.ndarray) -> str:
    return f"{100 * np.mean(right):.2f} %"


if __name__ == "__main__":
    main(sys.argv[1:])
