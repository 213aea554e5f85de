"""Open an exported network: check every byte of its bundle, then load one of its files.

Only the SavedModel requires TensorFlow.
"""

from __future__ import annotations

from pathlib import Path

from zoo.bundles import runtimes
from zoo.bundles.integrity import Bundle, open_bundle
from zoo.errors import unknown
from zoo.metrics import PredictFn

__all__ = ["Bundle", "labels", "load", "open_bundle", "predict_fn_of"]


def labels(bundle: str | Path) -> tuple[str, ...]:
    """Return the names of a bundle's classes, in the order of its logits.

    Raises:
        DamagedError: a file of the bundle is missing, altered, or not part of it.

    >>> export.labels("exports/ltfn5/1")[:3]
    ('0', '1', '2')
    """
    return tuple(open_bundle(bundle).manifest["labels"])


def load(bundle: str | Path, *, runtime: str | None = None, threads: int = 1) -> PredictFn:
    """Return the ``predict_fn`` of one of a bundle's files.

    Args:
        bundle: the folder of a version, such as ``exports/ltfn5/1``.
        runtime: name of the format: ``float32``, ``int8``, ``saved_model`` ...; by default the
            first that the bundle has of ``float32``, ``float16``, ``dynamic``, ``int8``,
            ``int16x8``, ``onnx`` and ``openvino``, otherwise ``saved_model``.
        threads: number of threads; the SavedModel uses those of TensorFlow.

    Returns:
        A function from uint8 images [N, H, W, C] to float32 logits [N, classes].

    Raises:
        DamagedError: a file of the bundle is missing, altered, or not part of it; the message
            names it.
        InputError: the bundle has no such format, or its runtime is not installed.

    >>> predict_fn = export.load("exports/ltfn5/1", runtime="int8")
    >>> predict_fn(np.zeros((3, 28, 28, 1), np.uint8)).shape
    (3, 10)
    """
    return predict_fn_of(open_bundle(bundle), runtime, threads)


def predict_fn_of(bundle: Bundle, runtime: str | None = None, threads: int = 1) -> PredictFn:
    """Return the ``predict_fn`` of one file of an opened bundle.

    Args:
        bundle: the bundle.
        runtime: as in ``load``.
        threads: as in ``load``.

    Raises:
        InputError: the bundle has no such format, or its runtime is not installed.
    """
    runtime = runtime or bundle.default_runtime
    artifact = bundle.artifact(runtime)
    if artifact is None:
        names = [each["format"] for each in bundle.manifest["artifacts"]]
        raise unknown("runtime", runtime, names)
    return runtimes.open_artifact(bundle.path(artifact), threads).predict_fn
