"""Turns a trained run into files for servers and devices, and proves that they compute the same.

>>> import export
>>> predict_fn = export.load_predict_fn("exports/ltfn5/1/tflite/ltfn5-int8.tflite")
>>> logits = predict_fn(images)  # uint8 [N, 28, 28, 1] -> float32 [N, 10]
"""

from export.runtimes import load_predict_fn

__all__ = ["load_predict_fn"]
