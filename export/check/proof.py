"""The proof: what each file computes, compared with what the Keras network computes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from export.formats import Format
from zoo.errors import VerificationError
from zoo.metrics import Metrics, wilson_interval

# A float file repeats the same arithmetic in another order: it may differ by rounding alone.
FLOAT_DIFFERENCE = 1e-4  # of the logits' range


@dataclass(frozen=True)
class Row:
    """One file's proof.

    Attributes:
        format: the file's format, with its bounds.
        file: path within the bundle.
        size: bytes of the file, or of all files of the SavedModel.
        metrics: of the file over the test split.
        agreeing: images whose class is the Keras network's.
        difference: largest absolute difference between two logits.
        range: largest minus smallest logit of the Keras network.
        facts: what the runtime tells: ``inputs``, ``outputs``, ``microseconds`` per image,
            ``peak_bytes`` of the scoring process, and of LiteRT files ``operators`` and
            ``activation_bytes``.
    """

    format: Format
    file: str
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
    format: Format,
    file: str,
    size: int,
    facts: dict[str, Any],
) -> Row:
    """Return the proof of one file from its metrics and those of the Keras network."""
    same = reference.logits.argmax(axis=1) == metrics.logits.argmax(axis=1)
    return Row(
        format=format,
        file=file,
        size=size,
        metrics=metrics,
        agreeing=int(np.sum(same)),
        # NumPy's max keeps a NaN, so a file that computes one has no finite difference.
        difference=float(np.max(np.abs(reference.logits - metrics.logits))),
        range=float(np.ptp(reference.logits)),
        facts=facts,
    )


def check(reference: Metrics, rows: Sequence[Row]) -> None:
    """Refuse files that do not compute what the network computes, as their formats bound it.

    Raises:
        VerificationError: a file is out of its bounds; the message says which, by how much, and
            how to go on.
    """
    failed = [row for row in rows if faults(reference, row)]
    if failed:
        found = "; ".join(fault for row in failed for fault in faults(reference, row))
        raise VerificationError(
            f"nothing was published: {found}. {_ways_on(reference, rows, failed)}"
        )


def _ways_on(reference: Metrics, rows: Sequence[Row], failed: Sequence[Row]) -> str:
    """Return the options with which the other files, or all of them, would be published."""
    others = [row.format.name for row in rows if row not in failed]
    ways = [f"--formats {','.join(others)} leaves it out"] if others else []
    if all(row.format.loss is not None and _is_finite(row) for row in failed):
        bounds = " ".join(
            f"--bound {row.format.name}={_points_lost(reference, row):g}" for row in failed
        )
        ways.append(f"{bounds} --allow-drop accepts the loss")
    return f"To go on: {'; '.join(ways)}" if ways else "The network cannot be exported as it is"


def _points_lost(reference: Metrics, row: Row) -> float:
    """Return the bound in points that would accept a file, rounded up to hundredths of a point."""
    lost, flipped = reference.correct - row.metrics.correct, reference.count - row.agreeing
    images = lost if flipped <= row.format.allowed_flips(reference.count) else flipped
    return math.ceil(round(100 * 100 * images / reference.count, 6)) / 100


def _is_finite(row: Row) -> bool:
    return bool(np.all(np.isfinite(row.metrics.logits)))


def faults(reference: Metrics, row: Row) -> list[str]:
    """Return in what a file is out of its bounds, nothing if it is within them."""
    found = []
    if row.format.loss is not None:
        lost = reference.correct - row.metrics.correct
        allowed = row.format.allowed_losses(reference.count)
        if lost > allowed:
            found.append(f"{row.file} loses {lost} of {reference.count} images, allowed {allowed}")
    flipped, most = reference.count - row.agreeing, row.format.allowed_flips(reference.count)
    if flipped > most:
        found.append(
            f"{row.file} gives {flipped} of {reference.count} images another class, allowed {most}"
        )
    if row.format.loss is None:
        bound = FLOAT_DIFFERENCE * row.range
        if not row.difference <= bound:
            found.append(f"{row.file} differs by {row.difference:.3g}, allowed {bound:.3g}")
    if not _is_finite(row):
        found.append(f"{row.file} computes logits that are not finite")
    return found


def cautions(reference: Metrics, labels: np.ndarray, formats: Sequence[Format]) -> list[str]:
    """Return why the proof says little, a sentence each; none if it is sound.

    Args:
        reference: the Keras network's score.
        labels: int [N], of the test split.
        formats: that are exported.
    """
    found = []
    most = int(np.bincount(labels).max())
    if reference.correct <= most:
        found.append(
            f"Keras itself is right on {reference.correct:,} of {reference.count:,} test images; "
            f"always answering the largest class would be right on {most:,}."
        )
    blind = [
        each.name
        for each in formats
        if each.loss is not None and each.loss * reference.count / 100 < 1
    ]
    if blind:
        low, high = wilson_interval(reference.correct, reference.count)
        found.append(
            f"{reference.count:,} test images are too few for the bounds of {', '.join(blind)}, "
            f"which are less than one image: the accuracy of Keras itself is known to be between "
            f"{100 * low:.1f} and {100 * high:.1f} % (95 % interval)."
        )
    return found


def markdown_table(reference: Metrics, rows: Sequence[Row]) -> str:
    """Return the proof as the Markdown table that the command prints and the card shows."""
    lines = [
        "| file | test accuracy | flipped images | largest logit difference | size | activations "
        "| one image |",
        "|---|---|---|---|---|---|---|",
        f"| Keras, float32 | {_accuracy(reference)} | | | | | |",
    ]
    for row in rows:
        arena = row.facts.get("activation_bytes")
        cells = (
            row.file,
            _accuracy(row.metrics),
            f"{reference.count - row.agreeing:,}",
            f"{row.difference:.2g} of {row.range:.3g}",
            f"{row.size / 1000:,.0f} kB",
            "" if arena is None else f"{arena / 1000:,.0f} kB",
            f"{row.facts['microseconds']:,.0f} us",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _accuracy(metrics: Metrics) -> str:
    return f"{100 * metrics.accuracy:.2f} % ({metrics.correct:,}/{metrics.count:,})"
