"""The networks of the web page: what it says about each, and how each is verified."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from export.check import accuracy, page_layers, proof
from export.network.beside import Shown
from zoo.data import Dataset
from zoo.errors import VerificationError
from zoo.metrics import Metrics


@dataclass(frozen=True)
class PageNetwork:
    """A network of the page with its results in Keras.

    Attributes:
        shown: the network.
        reference: metrics on the test split.
        layers: the values of each drawn layer for some images, [N, ...], by the layer's name.
    """

    shown: Shown
    reference: Metrics
    layers: dict[str, np.ndarray]

    def facts(self, dataset: Dataset) -> dict[str, Any]:
        """Return what the page says about the network, as JSON values."""
        return {
            "name": self.shown.name,
            "story": self.shown.story(dataset),
            "format": self.shown.format.name,
            "test": {
                "correct": self.reference.correct,
                "count": self.reference.count,
                "cost": self.reference.cost,
            },
        }


def verify(
    networks: Sequence[PageNetwork],
    first: Metrics,
    *,
    page: Path,
    dataset: Dataset,
    chosen: np.ndarray,
    images: Path,
    scratch: Path,
) -> list[dict[str, Any]]:
    """Compare each network of a page with its Keras network, on every test image.

    Args:
        networks: the networks of the page.
        first: metrics of the page's first network, which the export has evaluated.
        page: the HTML file.
        dataset: its test split is used.
        chosen: indices of the test images whose layers are compared, in float32.
        images: the test images as a ``.npy`` file.
        scratch: folder for the files of the subprocesses.

    Returns:
        A row for each network, as JSON values for the manifest.

    Raises:
        VerificationError: a network exceeds the bounds of its format, or a layer that of float32.
    """
    rows = []
    for at, each in enumerate(networks):
        shown, reference = each.shown, each.reference
        metrics = accuracy.score(page, dataset.test, images, scratch, network=at) if at else first
        row = proof.compare(
            reference,
            metrics,
            format=shown.format,
            file=f"{shown.name} in {page.name}",
            size=0,
            facts={},
        )
        if faults := proof.faults(reference, row):
            raise VerificationError(
                f"nothing was published: {'; '.join(faults)}. To proceed, leave out its --beside"
            )
        layers = None
        if shown.format.name == "float32":
            layers = page_layers.measure(
                each.layers, page, dataset.test.images[chosen], scratch, network=at
            )
        rows.append(
            each.facts(dataset)
            | {
                "test_correct": metrics.correct,
                "test_count": metrics.count,
                "agreeing": row.agreeing,
                "allowed_flips": shown.format.allowed_flips(reference.count),
                "largest_logit_difference": row.difference,
                "logit_range": row.range,
                "golden_logits": metrics.logits[chosen].tolist(),
                "layers": layers,
            }
        )
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows of ``verify`` as a table in Markdown."""
    lines = [
        "| network in the page | format | Keras | in the page | changed predictions "
        "| largest logit difference |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = (
            row["name"],
            row["format"],
            f"{row['test']['correct']:,}/{row['test']['count']:,}",
            f"{row['test_correct']:,}/{row['test_count']:,}",
            f"{row['test_count'] - row['agreeing']:,}",
            f"{row['largest_logit_difference']:.2g} of {row['logit_range']:.3g}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
