"""Compare each exported file with the Keras network, and check the bounds of its format."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from export.formats import Format
from zoo.errors import VerificationError
from zoo.metrics import Metrics, wilson_interval

# A float file performs the same arithmetic in another order, so it differs only by rounding.
FLOAT_DIFFERENCE = 1e-4  # fraction of the logits' range


@dataclass(frozen=True)
class Row:
    """The verification result of one file.

    Attributes:
        format: the file's format, with its bounds.
        file: path in the bundle.
        size: size of all files of the format, in bytes.
        metrics: metrics of the file on the test split.
        agreeing: number of images for which the file and Keras predict the same class.
        difference: largest absolute difference between a logit of the file and of Keras.
        range: largest minus smallest logit of the Keras network.
        facts: results of ``latency.measure``.
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
    """Return the verification result of one file from its metrics and those of Keras."""
    same = reference.logits.argmax(axis=1) == metrics.logits.argmax(axis=1)
    return Row(
        format=format,
        file=file,
        size=size,
        metrics=metrics,
        agreeing=int(np.sum(same)),
        # np.max propagates NaN, so a file with a NaN logit has no finite difference.
        difference=float(np.max(np.abs(reference.logits - metrics.logits))),
        range=float(np.ptp(reference.logits)),
        facts=facts,
    )


def check(reference: Metrics, rows: Sequence[Row]) -> None:
    """Check that every file stays within the bounds of its format.

    Raises:
        VerificationError: a file exceeds its bounds; the message gives the file, the excess, and
            the options to proceed.
    """
    failed = [row for row in rows if faults(reference, row)]
    if failed:
        found = "; ".join(fault for row in failed for fault in faults(reference, row))
        raise VerificationError(
            f"nothing was published: {found}. {_ways_on(reference, rows, failed)}"
        )


def _ways_on(reference: Metrics, rows: Sequence[Row], failed: Sequence[Row]) -> str:
    """Return the options that would publish the other files, or all of them."""
    others, named = (
        [row.format.name for row in rows if (row in failed) == has_failed]
        for has_failed in (False, True)
    )
    # The SavedModel is exported always, and is not worth an export on its own.
    optional = len(others) > 1 and "saved_model" not in named
    ways = [f"--formats {','.join(others)} to leave out {', '.join(named)}"] if optional else []
    if all(row.format.max_loss is not None and _is_finite(row) for row in failed):
        bounds = " ".join(
            f"--bound {row.format.name}={_points_lost(reference, row):g}" for row in failed
        )
        ways.append(f"{bounds} --allow-drop to accept the loss")
    return f"To proceed, give {', or '.join(ways)}" if ways else "No option accepts these files"


def _points_lost(reference: Metrics, row: Row) -> float:
    """Return the smallest --bound that would accept a file, rounded up to 0.01 points."""
    lost, flipped = reference.correct - row.metrics.correct, reference.count - row.agreeing
    images = lost if flipped <= row.format.allowed_flips(reference.count) else flipped
    return math.ceil(round(100 * 100 * images / reference.count, 6)) / 100


def _is_finite(row: Row) -> bool:
    return bool(np.all(np.isfinite(row.metrics.logits)))


def faults(reference: Metrics, row: Row) -> list[str]:
    """Return a description of each bound that a file exceeds."""
    found = []
    if row.format.max_loss is not None:
        lost = reference.correct - row.metrics.correct
        allowed = row.format.allowed_losses(reference.count)
        if lost > allowed:
            found.append(
                f"{row.file} classifies {lost} fewer of {reference.count} images correctly than "
                f"Keras, allowed {allowed}"
            )
    flipped, most = reference.count - row.agreeing, row.format.allowed_flips(reference.count)
    if flipped > most:
        found.append(
            f"{row.file} predicts another class than Keras for {flipped} of {reference.count} "
            f"images, allowed {most}"
        )
    if row.format.max_loss is None:
        bound = FLOAT_DIFFERENCE * row.range
        if not row.difference <= bound:
            found.append(
                f"{row.file} differs by {row.difference:.3g} from the logits of Keras, allowed "
                f"{bound:.3g}"
            )
    if not _is_finite(row):
        found.append(f"{row.file} computes logits that are not finite")
    return found


def cautions(reference: Metrics, labels: np.ndarray, formats: Sequence[Format]) -> list[str]:
    """Return a sentence for each reason why the verification is weak; empty if there is none.

    Args:
        reference: metrics of the Keras network on the test split.
        labels: int [N], labels of the test split.
        formats: the exported formats.
    """
    found = []
    most = int(np.bincount(labels).max())
    if reference.correct <= most:
        found.append(
            f"Keras classifies only {reference.correct:,} of {reference.count:,} test images "
            f"correctly; always predicting the most frequent class would be correct on {most:,}."
        )
    count = reference.count
    blind = [each for each in formats if each.max_loss and each.max_loss * count / 100 < 1]
    if blind:
        low, high = wilson_interval(reference.correct, reference.count)
        losses = [f"{each.allowed_losses(count)} with {each.name}" for each in blind]
        found.append(
            f"With only {count:,} test images, one image is {100 / count:.2f} % of the accuracy, "
            "so the bounds are whole images. Compared with Keras, the number of correct images may "
            f"fall by at most {', '.join(losses)}. The accuracy itself is uncertain: the 95 % "
            f"confidence interval of Keras is {100 * low:.1f} to {100 * high:.1f} %. More test "
            "pictures would give a meaningful accuracy."
        )
    return found


def markdown_table(reference: Metrics, rows: Sequence[Row]) -> str:
    """Return the verification table in Markdown, for the terminal and the model card."""
    lines = [
        "| file | test accuracy | changed predictions | largest logit difference | size "
        "| activations | time per image |",
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
