"""Compare the values of each layer in the web page with those of Keras.

The page is opened in a subprocess::

    python -m export.check.page_layers PAGE IMAGES.npy VALUES.npz --network N
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from export import subprocesses
from export.check.proof import FLOAT_DIFFERENCE
from zoo import cli
from zoo.bundles.browser import Page
from zoo.errors import VerificationError
from zoo.util import atomic


def measure(
    expected: Mapping[str, np.ndarray],
    page: Path,
    images: np.ndarray,
    scratch: Path,
    *,
    network: int = 0,
) -> dict[str, dict[str, float]]:
    """Return how much each drawn layer of a page differs from Keras.

    Args:
        expected: the values of each layer in Keras, [N, ...], by the layer's name.
        page: the HTML file.
        images: uint8 [N, H, W, C].
        scratch: folder for the files of the subprocess.
        network: position of the network in the page.

    Returns:
        For each layer, ``difference``, the largest of a value, and ``range``, largest minus
        smallest value of Keras.

    Raises:
        VerificationError: a layer differs by more than the bound of float formats.
        ZooError: the subprocess failed.
    """
    sent, answer = scratch / "page-images.npy", scratch / "page-values.npz"
    np.save(sent, images)
    subprocesses.run_module("export.check.page_layers", page, sent, answer, "--network", network)
    found = {}
    with np.load(answer) as file:
        values = {name: file[f"arr_{at}"] for at, name in enumerate(file["names"].tolist())}
    for name, of_keras in expected.items():
        difference = float(np.max(np.abs(values[name] - of_keras.reshape(len(images), -1))))
        # With the zero of the padding and of the ReLU, so that a constant layer has a range too.
        span = float(of_keras.max(initial=0) - of_keras.min(initial=0))
        if not difference <= FLOAT_DIFFERENCE * span:
            raise VerificationError(
                f"nothing was published: layer {name} of {page.name} differs by "
                f"{difference:.3g} from Keras, allowed {FLOAT_DIFFERENCE * span:.3g}"
            )
        found[name] = {"difference": difference, "range": span}
    return found


def main(argv: Sequence[str]) -> None:
    """Write the values of each layer of a page."""
    parser = cli.Parser("export.check.page_layers", "Compute the layers of one web page.")
    parser.add_argument("page", type=Path, metavar="PAGE")
    parser.add_argument("images", type=Path, metavar="IMAGES.npy")
    parser.add_argument("answer", type=Path, metavar="VALUES.npz")
    parser.add_argument("--network", type=cli.natural, default=0, metavar="N")
    arguments = parser.parse_args(argv)
    values = Page(arguments.page, arguments.network).volumes(np.load(arguments.images))
    with atomic.writing(arguments.answer):
        np.savez(arguments.answer, *values.values(), names=np.array(list(values)))


if __name__ == "__main__":
    cli.run("export.check.page_layers", main)
