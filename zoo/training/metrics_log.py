"""The metrics of a run: one JSON object per line, and optionally TensorBoard events."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from etils import epy

from zoo.runs import records
from zoo.util import atomic

with epy.lazy_imports():
    import tensorflow as tf


class MetricsLog:
    """The file ``metrics.jsonl``, without the rows after the step at which a training resumes."""

    def __init__(self, path: Path, start: int, events: Path | None) -> None:
        self._events = events
        self._writer: Any = tf.summary.create_file_writer(str(events)) if events else None
        rows = records.read_metrics(path) if start else []
        kept = [row for row in rows if _is_before(row, start)]
        with atomic.staged(path) as stage:
            stage.write_text("".join(map(_line, kept)), encoding="utf-8")
        self._last_kept = kept[-1] if kept else None
        self._path = path
        # Unbuffered, so that a full disk is noticed here, and not when the file is closed.
        self._file = path.open("ab", buffering=0)

    def write(self, *, step: int, **values: float) -> None:
        """Append the values of a step, which must be finite."""
        row = {"step": step} | values
        if row == self._last_kept:
            return  # a training that was killed after its last step validates again
        with atomic.writing(self._path):
            self._file.write(_line(row).encode())
        if self._events is not None:
            # tf.summary.scalar requires TensorBoard; this writes the same event without it.
            scalar = tf.compat.v1.SummaryMetadata(
                plugin_data={"plugin_name": "scalars"}, data_class="DATA_CLASS_SCALAR"
            )
            with atomic.writing(self._events), self._writer.as_default(step):
                for name, value in values.items():
                    tf.summary.write(name, tf.constant(value, tf.float32), metadata=scalar)

    def sync(self) -> None:
        """Flush all rows to disk, so that no checkpoint is newer than they are."""
        os.fsync(self._file.fileno())

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()
        if self._writer is not None:
            self._writer.close()


def _line(row: Mapping[str, float]) -> str:
    return json.dumps(row, allow_nan=False) + "\n"


def _is_before(row: Mapping[str, float], start: int) -> bool:
    """Return whether a row was written before ``start`` steps were done.

    A cost belongs to the network before its step, a validation to the network after that many.
    """
    return row["step"] < start or (row["step"] == start and "validation_accuracy" in row)
