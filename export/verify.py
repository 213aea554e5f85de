"""The proof: what each file computes, held against what the Keras network computes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.errors import VerificationError
from zoo.metrics import Metrics

# A float file repeats the same arithmetic in another order: it may differ by rounding alone.
_FLOAT_DIFFERENCE = 1e-4  # of the logits' range
# An int8 file rounds every value to one of 256: it may lose this share of the images, or two.
_INT8_LOSS = 0.001
_INT8_LOST_IMAGES = 2


@dataclass(frozen=True)
class Row:
    """One file's proof.

    Attributes:
        file: path within the bundle.
        kind: ``saved_model``, or the LiteRT number format.
        size: bytes of the file, or of all files of the SavedModel.
        metrics: of the file over the test split.
        agreeing: images whose class is the Keras network's.
        difference: largest absolute difference between two logits.
        range: largest minus smallest logit of the Keras network.
        facts: what the runtime tells: ``inputs``, ``outputs``, ``microseconds`` per image.
    """

    file: str
    kind: str
    size: int
    metrics: Metrics
    agreeing: int
    difference: float
    range: float
    facts: dict[str, Any]


def compare(
    reference: Metrics,
    metrics: Metrics,
    *,
    file: str,
    kind: str,
    size: int,
    facts: dict[str, Any],
) -> Row:
    """Return the proof of one file from its metrics and those of the Keras network."""
    same = reference.logits.argmax(axis=1) == metrics.logits.argmax(axis=1)
    return Row(
        file=file,
        kind=kind,
        size=size,
        metrics=metrics,
        agreeing=int(np.sum(same)),
        # NumPy's max keeps a NaN, so a file that computes one has no finite difference.
        difference=float(np.max(np.abs(reference.logits - metrics.logits))),
        range=float(np.ptp(reference.logits)),
        facts=facts,
    )


def check(reference: Metrics, rows: Sequence[Row]) -> None:
    """Refuse files that do not compute what the network computes.

    A float file must agree on the class of every image, its logits within 1e-4 of their range; an
    int8 file may lose 0.1 point of accuracy, or two images where the split is small.

    Raises:
        VerificationError: a file is out of its bounds; the message says which and by how much.
    """
    faults = [fault for row in rows for fault in _faults(reference, row)]
    if faults:
        raise VerificationError(f"nothing was published: {'; '.join(faults)}")


def _faults(reference: Metrics, row: Row) -> list[str]:
    faults = []
    if row.kind == "int8":
        lost = reference.correct - row.metrics.correct
        allowed = max(_INT8_LOST_IMAGES, int(_INT8_LOSS * reference.count))
        if lost > allowed:
            faults.append(f"{row.file} loses {lost} of {reference.count} images, allowed {allowed}")
    else:
        if row.agreeing != reference.count:
            flipped = reference.count - row.agreeing
            faults.append(f"{row.file} gives {flipped} images another class, allowed 0")
        bound = _FLOAT_DIFFERENCE * row.range
        if not row.difference <= bound:
            faults.append(f"{row.file} differs by {row.difference:.3g}, allowed {bound:.3g}")
    if not np.all(np.isfinite(row.metrics.logits)):
        faults.append(f"{row.file} computes logits that are not finite")
    return faults


def markdown_table(reference: Metrics, rows: Sequence[Row]) -> str:
    """Return the proof as the Markdown table that the command prints and the card shows."""
    lines = [
        "| file | test accuracy | agrees | largest logit difference | size | one image |",
        "|---|---|---|---|---|---|",
        f"| Keras, float32 | {_accuracy(reference)} | | | | |",
    ]
    for row in rows:
        cells = (
            row.file,
            _accuracy(row.metrics),
            f"{100 * row.agreeing / reference.count:.2f} %",
            f"{row.difference:.2g} of {row.range:.3g}",
            f"{row.size / 1000:,.0f} kB",
            f"{row.facts['microseconds']:,.0f} us",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _accuracy(metrics: Metrics) -> str:
    return f"{100 * metrics.accuracy:.2f} % ({metrics.correct:,}/{metrics.count:,})"
