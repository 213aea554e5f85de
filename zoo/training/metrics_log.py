"""The metrics of a run, a JSON object on each line, and the same as TensorBoard's events."""

from __future__ import annotations

import json
from pathlib import Path

from etils import epy

with epy.lazy_imports():
    import tensorflow as tf


class MetricsLog:
    """``metrics.jsonl``, cut back to the step from which a training goes on."""

    def __init__(self, path: Path, start: int, events: Path | None) -> None:
        self._events = tf.summary.create_file_writer(str(events)) if events else None
        kept = path.read_text(encoding="utf-8").splitlines() if start else []
        self._file = path.open("w", encoding="utf-8", buffering=1)
        for line in kept:
            # A kill may have cut the last line short.
            if line.endswith("}") and _is_before(json.loads(line), start):
                self._file.write(line + "\n")

    def write(self, *, step: int, **values: float) -> None:
        """Append the values of a step, all finite."""
        self._file.write(json.dumps({"step": step} | values, allow_nan=False) + "\n")
        if self._events is not None:
            # tf.summary.scalar would need TensorBoard itself; this is what it writes.
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
    """Return whether a row was written before a training went on from ``start`` steps.

    A cost is of the network before its step, a validation of the network after as many steps.
    """
    return row["step"] < start or (row["step"] == start and "validation_accuracy" in row)
