"""Export trained networks to files for servers and devices, and verify each file.

>>> import export
>>> predict_fn = export.load("exports/ltfn5/1", runtime="int8")  # checks every byte first
>>> logits = predict_fn(images)  # uint8 [N, 28, 28, 1] to float32 [N, 10]
"""

from zoo.util import signals

signals.guard_imports()

from etils import epy

# Each name is imported when it is first used, so that commands start fast.
with epy.lazy_api_imports(globals()):
    from export.bundle.replay import verify_bundle
    from export.pipeline import export_model
    from zoo.bundles import labels, load, open_bundle
    from zoo.bundles.runtimes import load_predict_fn

__all__ = ["export_model", "labels", "load", "load_predict_fn", "open_bundle", "verify_bundle"]
