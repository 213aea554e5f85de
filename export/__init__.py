"""Export trained networks for servers and devices, and verify every file against Keras.

>>> import export
>>> predict_fn = export.load("exports/ltfn5/1", runtime="int8")  # checks every file's hash first
>>> logits = predict_fn(images)  # uint8 [N, 28, 28, 1] -> float32 [N, 10]
"""

from zoo.bundles import load
from zoo.bundles.runtimes import load_predict_fn

__all__ = ["load", "load_predict_fn"]
