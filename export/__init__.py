"""Turns a trained network into files for servers and devices, proven to compute the same.

>>> import export
>>> predict_fn = export.load("exports/ltfn5/1", runtime="int8")  # every byte is checked first
>>> logits = predict_fn(images)  # uint8 [N, 28, 28, 1] -> float32 [N, 10]
"""

from zoo.bundles import load
from zoo.bundles.runtimes import load_predict_fn

__all__ = ["load", "load_predict_fn"]
