"""Compare the exports of Keras files with what the files' own networks answer.

    python -m tools.check_keras_files FOLDER [NAME[=OPTIONS] ...]

FOLDER holds NAME.keras or NAME.h5, and NAME.data, a folder of pictures of the network's own size
for each class. OPTIONS are given to ``export``, such as ``zero-one="--pixels 0..1"``; its --pixels
and --labels say what the network was trained on. Each network is exported to the default formats,
and every file must answer as the network itself does, loaded and called by Keras alone. The table
has the accuracy on all pictures, and in brackets how many have another class than the network's.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from etils import epy
from PIL import Image

import export
from export.integrity import open_bundle
from zoo import commands

with epy.lazy_imports():
    import keras

_DEFAULTS = ("saved_model", "float32", "float16", "dynamic", "int8")


def main(argv: list[str]) -> None:
    """Print a row for each network; fail if a file is silently wrong."""
    parser = argparse.ArgumentParser(prog="tools.check_keras_files", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args(argv)
    commands.start_tensorflow()
    given = dict(name.partition("=")[::2] for name in arguments.names)
    found = sorted(path.stem for path in arguments.folder.glob("*.data"))
    print(f"| network | Keras | {' | '.join(_DEFAULTS)} | left out, or refused |")
    print("|---" * (len(_DEFAULTS) + 3) + "|")
    wrong = [
        name for name in given or found if not _row(arguments.folder, name, given.get(name, ""))
    ]
    if wrong:
        sys.exit(f"silently wrong: {', '.join(wrong)}")


def _row(folder: Path, name: str, options: str) -> bool:
    """Print the row of one network; return whether no file is silently wrong."""
    (file,) = (path for path in folder.glob(f"{name}.*") if path.suffix in (".keras", ".h5"))
    data = folder / f"{name}.data"
    chosen = argparse.ArgumentParser()
    chosen.add_argument("--pixels", default="0..255")
    chosen.add_argument("--labels", default="")
    truth, _ = chosen.parse_known_args(shlex.split(options))
    names = (
        truth.labels.split(",") if truth.labels else sorted(each.name for each in data.iterdir())
    )
    images, labels = _pictures(data, names)
    own = _answers(file, _scaled(images, truth.pixels))
    cells = [f"{name} {options}".strip(), _percent(own == labels)]
    with tempfile.TemporaryDirectory() as out:
        line = ["export", file, "--data", data, "--offline", "--out", out, *shlex.split(options)]
        done = subprocess.run(
            [sys.executable, "-m", *map(str, line)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1]
            print(f"| {' | '.join([*cells, *[''] * len(_DEFAULTS), last])} |", flush=True)
            return done.returncode == 2 and "Traceback" not in done.stderr
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
    print(
        f"| {' | '.join([*cells, '; '.join(manifest.get('left_out', {}).values())])} |", flush=True
    )
    return max(flips) <= max(2, len(images) // 100)


def _pictures(data: Path, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return all pictures, uint8 [N, H, W, C], and their labels in the order of ``names``."""
    files = [(path, label) for label, name in enumerate(names) for path in (data / name).iterdir()]
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
    """Return the class that the network itself gives each image."""
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
