"""The metrics of a run: one JSON object per line, and optionally TensorBoard events."""

from __future__ import annotations

import json
from pathlib import Path

from etils import epy

with epy.lazy_imports():
    import tensorflow as tf


class MetricsLog:
    """The file ``metrics.jsonl``, without the rows after the step at which a training resumes."""

    def __init__(self, path: Path, start: int, events: Path | None) -> None:
        self._events = tf.summary.create_file_writer(str(events)) if events else None
        kept = path.read_text(encoding="utf-8").splitlines() if start else []
        self._file = path.open("w", encoding="utf-8", buffering=1)
        for line in kept:
            # The last line is incomplete if the process was killed.
            if line.endswith("}") and _is_before(json.loads(line), start):
                self._file.write(line + "\n")

    def write(self, *, step: int, **values: float) -> None:
        """Append the values of a step, which must be finite."""
        self._file.write(json.dumps({"step": step} | values, allow_nan=False) + "\n")
        if self._events is not None:
            # tf.summary.scalar requires TensorBoard; this writes the same event without it.
            scalar = tf.compat.v1.SummaryMetadata(
                plugin_data={"plugin_name": "scalars"}, data_class="DATA_CLASS_SCALAR"
            )
            with self._events.as_default(step):
                for name, value in values.items():
                    tf.summary.write(name, tf.constant(value, tf.float32), metadata=scalar)

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()
        if self._events is not None:
            self._events.close()


def _is_before(row: dict[str, float], start: int) -> bool:
    """Return whether a row was written before ``start`` steps were done.

    A cost belongs to the network before its step, a validation to the network after that many.
    """
    return row["step"] < start or (row["step"] == start and "validation_accuracy" in row)
