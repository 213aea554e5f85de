r"""Measure how well the commands classify users' own pictures.

    python -m tools.measure_pictures --pictures DIR --network runs/ltfn5 --network runs/compact-10k
    python -m tools.measure_pictures --folders DIR

``--pictures`` is a folder with one subfolder per variant, whose pictures are named
``<number>_<class>.<extension>``, as written by ``tools/paper_pictures.py``. ``--folders`` is a
folder of datasets with ``train/`` and ``test/``: a small network is trained on each, and classifies
the test pictures in four ways: ``zoo.evaluate`` and ``zoo.predict`` with the run, ``zoo.predict``
with a bundle, and the SavedModel's signature ``serve_bytes``. ``--tree`` is another checkout of
this project, whose commands are measured instead.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent

_SERVE_BYTES = """
import json, pathlib, sys
import tensorflow as tf
served = tf.saved_model.load(sys.argv[1]).signatures["serve_bytes"]
files = json.load(sys.stdin)
answers = []
for name in files:
    try:
        content = tf.constant([pathlib.Path(name).read_bytes()])
        answers.append(served(image_bytes=content)["label"][0].numpy().decode())
    except tf.errors.InvalidArgumentError:
        answers.append(None)
print(json.dumps(answers))
"""


def main() -> None:
    """Print a table for ``--pictures`` and another for ``--folders``."""
    parser = argparse.ArgumentParser(
        description="Measure how well the commands classify users' pictures."
    )
    parser.add_argument(
        "--pictures", type=Path, metavar="DIR", help="folder with a subfolder for each variant"
    )
    parser.add_argument(
        "--network",
        type=Path,
        action="append",
        default=[],
        metavar="RUN",
        help="run or bundle that classifies the pictures of --pictures; may be repeated",
    )
    parser.add_argument(
        "--folders", type=Path, metavar="DIR", help="folder of datasets with train/ and test/"
    )
    parser.add_argument(
        "--tree",
        type=Path,
        default=ROOT,
        metavar="DIR",
        help="checkout whose commands are measured (default: this one)",
    )
    arguments = parser.parse_args()
    if arguments.pictures:
        names = [network.name for network in arguments.network]
        print(f"| pictures | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
        for variant in sorted(path for path in arguments.pictures.iterdir() if path.is_dir()):
            cells = [_right(arguments.tree, each, variant) for each in arguments.network]
            if any(cells):
                print(f"| {variant.name} | {' | '.join(cells)} |", flush=True)
    if arguments.folders:
        ways = ("evaluate", "predict, run", "predict, bundle", "serve_bytes")
        print(f"\n| folder | {' | '.join(ways)} |\n|---|{'---|' * len(ways)}")
        for folder in sorted(arguments.folders.iterdir()):
            if (folder / "test").is_dir():
                print(
                    f"| {folder.name} | {' | '.join(_ways(arguments.tree, folder))} |", flush=True
                )


def _right(tree: Path, network: Path, variant: Path) -> str:
    """Return how many pictures of a variant are classified correctly, and how many not at all."""
    files = [path for path in sorted(variant.absolute().iterdir()) if "_" in path.stem]
    if not files:
        return ""
    answers = json.loads(_run(tree, "zoo.predict", network.absolute(), *files, "--json"))
    right = refused = 0
    for path, answer in zip(files, answers, strict=True):
        predicted = _predicted(answer)
        refused += predicted is None
        right += predicted == path.stem.split("_")[1]
    return f"{right} of {len(files)}" + (f" ({refused} not classified)" if refused else "")


def _predicted(answer: dict[str, Any]) -> str | None:
    """Return the most probable class of a picture, or None if it was not classified."""
    classes = answer["classes"]
    return classes[0]["class"] if classes else None


def _ways(tree: Path, folder: Path) -> list[str]:
    """Return how many test pictures each way classifies correctly."""
    files = [str(path) for path in sorted(folder.absolute().glob("test/*/*")) if path.is_file()]
    truth = [Path(name).parent.name for name in files]

    def right(answers: list[str | None]) -> str:
        count = sum(given == true for given, true in zip(answers, truth, strict=True))
        return f"{count} of {len(truth)}"

    with tempfile.TemporaryDirectory() as scratch_name:
        scratch = Path(scratch_name)
        run, exports = scratch / "run", scratch / "exports"
        _run(tree, "zoo.train", "compact-10k", "--data", folder.absolute(), "--image-size", 28,
             "--steps", 300, "--out", run)  # fmt: skip
        score = json.loads(_run(tree, "zoo.evaluate", run, "--json"))
        _run(tree, "export", run, "--formats", "float32", "--out", exports)
        asked = [
            right([_predicted(each) for each in json.loads(answers)])
            for answers in (
                _run(tree, "zoo.predict", run, *files, "--json"),
                _run(tree, "zoo.predict", exports / "1", *files, "--json"),
            )
        ]
        served = subprocess.run(
            [sys.executable, "-c", _SERVE_BYTES, str(exports / "1")],
            input=json.dumps(files),
            capture_output=True,
            text=True,
            check=True,
        )
    return [f"{score['correct']} of {score['count']}", *asked, right(json.loads(served.stdout))]


def _run(tree: Path, *line: object) -> str:
    """Return the standard output of a command of the checkout."""
    environment = os.environ | {"PYTHONPATH": str(tree.absolute())}
    done = subprocess.run(
        [sys.executable, "-m", *map(str, line)],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{line[0]} exited with {done.returncode}: {done.stderr.strip()[-300:]}")
    return done.stdout


if __name__ == "__main__":
    main()
