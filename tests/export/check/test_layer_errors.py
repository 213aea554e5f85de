"""Test the per-layer quantization error."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from export.check.layer_errors import LayerError, measure, report
from tests.export.convert.test_tflite import NETWORK
from zoo.bundles import integrity


def test_the_error_is_that_of_each_operation(bundle: Path) -> None:
    images = integrity.open_bundle(bundle).golden_images
    content = {
        kind: (bundle / "tflite" / f"compact-10k-{kind}.tflite").read_bytes()
        for kind in ("float32", "float16", "int8")
    }
    errors = {}
    for kind, converted in content.items():
        found = measure(content["float32"], converted, images)
        assert [each.operator for each in found] == NETWORK
        errors[kind] = np.array([each.error for each in found])
    assert np.all(errors["float32"] == 0)
    assert np.all((errors["float16"] > 0) & (errors["float16"] < 0.002))
    assert np.all((errors["int8"] > errors["float16"]) & (errors["int8"] < 0.2))


def test_the_report_marks_where_the_error_grows_most() -> None:
    found = [LayerError("A", "a", 0.01), LayerError("B", "b;c", 0.31), LayerError("C", "c", 0.32)]
    marked = [line for line in report(found).splitlines() if "largest increase" in line]
    assert len(marked) == 1
    assert marked[0].split()[:4] == ["B", "31.000", "%", "b"]
