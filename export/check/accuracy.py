"""Evaluate one exported file on a split, in subprocesses that load only its runtime.

The command of a subprocess, for the images from BEGIN to END - 1, is::

    python -m export.check.accuracy ARTIFACT IMAGES.npy BEGIN END LOGITS.npy --network N

The images are divided among single-threaded subprocesses, one for each core. A SavedModel has only
one subprocess, since TensorFlow starts slowly and uses several threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np

from export import subprocesses
from zoo import cli
from zoo.bundles.runtimes import open_artifact
from zoo.data.splits import Split
from zoo.metrics import Metrics, compute_metrics, predict_in_batches
from zoo.util import atomic, backend
from zoo.util.environment import cores


def score(
    artifact: Path, split: Split, images_file: Path, scratch: Path, *, network: int = 0
) -> Metrics:
    """Return the metrics of an exported file on a split.

    Args:
        artifact: a path that ``zoo.bundles.runtimes`` can open.
        split: the images and their labels.
        images_file: the images as a ``.npy`` file.
        scratch: folder for the logits from the subprocesses.
        network: position of the network in a page that has several.

    Raises:
        ZooError: a subprocess failed.
    """
    count = 1 if artifact.is_dir() else cores()
    bounds = np.linspace(0, len(split), count + 1).astype(int)
    parts = [(begin, end) for begin, end in pairwise(bounds.tolist()) if begin < end]

    def logits_of(part: tuple[int, int]) -> np.ndarray:
        answer = scratch / f"logits-{artifact.name}-{part[0]}.npy"
        subprocesses.run_module(
            "export.check.accuracy", artifact, images_file, *part, answer, "--network", network
        )
        return np.load(answer)

    with ThreadPoolExecutor(count) as pool, subprocesses.killed_on_interrupt():
        return compute_metrics(np.concatenate(list(pool.map(logits_of, parts))), split)


def main(argv: Sequence[str]) -> None:
    """Write the logits of one exported file for some of the images."""
    parser = cli.Parser("export.check.accuracy", "Compute the logits of one exported file.")
    parser.add_argument("artifact", type=Path, metavar="ARTIFACT")
    parser.add_argument("images", type=Path, metavar="IMAGES.npy")
    parser.add_argument("begin", type=cli.natural, metavar="BEGIN")
    parser.add_argument("end", type=cli.natural, metavar="END")
    parser.add_argument("answer", type=Path, metavar="LOGITS.npy")
    parser.add_argument("--network", type=cli.natural, default=0, metavar="N")
    arguments = parser.parse_args(argv)
    if arguments.artifact.is_dir():
        backend.start_tensorflow()
    artifact = open_artifact(arguments.artifact, network=arguments.network)
    images = np.load(arguments.images, mmap_mode="r")[arguments.begin : arguments.end]
    logits = predict_in_batches(artifact.predict_fn, images)
    with atomic.writing(arguments.answer):
        np.save(arguments.answer, logits)


if __name__ == "__main__":
    cli.run("export.check.accuracy", main)
