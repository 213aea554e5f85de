"""Load a user-supplied Keras classifier, and verify its pixel scale, class order and outputs."""

from __future__ import annotations

import shlex

import numpy as np
from etils import epy

from export.network import interpretation, pixels
from export.network.canonical import Canonical, canonicalize
from export.network.deploy import scales_pixels
from export.network.interpretation import Reading, beats, is_better
from export.network.keras_file import KerasFile
from export.network.sources import Source, deployable
from zoo.data import Announce, Dataset
from zoo.data.splits import Split
from zoo.errors import InputError, first_line
from zoo.metrics import softmax
from zoo.util import atomic

with epy.lazy_imports():
    import keras
    import tensorflow as tf

# Largest allowed differences between the copy and the original: of logits relative to their range,
# of probabilities absolute. They are larger only for an original that computes in fewer bits.
_TOLERANCES = {"float32": 1e-4, "float16": 0.02, "bfloat16": 0.15}


def from_keras(
    file: KerasFile,
    dataset: Dataset,
    *,
    scale: str | None = None,
    ordered: bool = False,
    announce: Announce = lambda line: None,
) -> Source:
    """Return the network to export from a Keras file.

    Args:
        file: the opened file.
        dataset: labelled images, with the classes in the order of the outputs.
        scale: pixel scale of the input, one of ``pixels.NAMES``. ``auto`` selects the best scale;
            None is 0..255, and raises an error if another scale is better.
        ordered: whether the user set the class order; if not, a better order raises an error.
        announce: called with a line on the pixel scale and the accuracy.

    Raises:
        InputError: the network has no canonical form, or its pixel scale, class order or outputs
            are not as assumed; the message gives the options to set.
    """
    try:
        return _from_keras(file, dataset, scale, ordered, announce)
    except (ValueError, tf.errors.OpError) as error:
        raise InputError(f"{file.path} cannot be exported: {first_line(error)}") from error


def _from_keras(
    file: KerasFile, dataset: Dataset, scale: str | None, ordered: bool, announce: Announce
) -> Source:
    sample = interpretation.sample(dataset)
    if scale != pixels.AUTO:
        _check_threshold(file, sample, scale or pixels.RAW)
    reading = _reading(file, dataset, sample, scale=scale, ordered=ordered)
    network = _canonical(file, reading.scale)
    outputs = file.outputs(_scaled(sample.images, reading.scale))
    _check_outputs(network, outputs)
    _check_same(file, network, outputs, sample.images)
    announce(
        f"With pixels {reading.scale}, {_share(reading.right)} of {len(sample):,} {sample.name} "
        "images are classified correctly"
    )
    deployed = deployable(network.model)
    notes = ("The pixel scaling cannot be folded into a kernel: every file contains it.",)
    return Source(
        name=file.name,
        model=network.model,
        deployed=deployed,
        origin={
            "keras_file": {
                "name": file.path.name,
                "sha256": atomic.sha256(file.path),
                "pixels": reading.scale,
                "outputs": network.ending,
            }
        },
        relation="verified on",
        story=(
            f"Network: loaded from the Keras file `{file.path.name}`, pixels {reading.scale}, "
            f"outputs {network.ending}; its training is unknown"
        ),
        notes=notes if deployed is network.model else (),
    )


def _canonical(file: KerasFile, scale: str) -> Canonical:
    return canonicalize(
        file.model,
        name=file.name,
        image_shape=file.image_shape,
        scaling=pixels.scaling(scale),
    )


def _scaled(images: np.ndarray, scale: str) -> np.ndarray:
    """Convert uint8 images [N, H, W, C] to the pixel scale of the file's network, float32."""
    scaled = images.astype(np.float32)
    for layer in pixels.scaling(scale):
        scaled = np.asarray(layer(scaled))
    return scaled


def _reading(
    file: KerasFile, dataset: Dataset, sample: Split, *, scale: str | None, ordered: bool
) -> Reading:
    """Return the scores of the network under its most likely pixel scale.

    Raises:
        ValueError: another scale or class order is better, or several scales are equally good.
    """
    own = _canonical(file, pixels.RAW).model

    def logits(images: np.ndarray, scale: str) -> np.ndarray:
        return own.predict(_scaled(images, scale), batch_size=100, verbose=0)

    scales = (scale,) if scale in pixels.NAMES else pixels.names_for(file.image_shape[2])
    readings = interpretation.read(logits, scales, sample)
    best = readings[0]
    for each in readings[1:]:
        best = each if beats(each, best) else best
    alike = [each for each in readings if each is not best and not beats(best, each)]
    if alike and not scales_pixels(own):
        equal = ", ".join(f"{each.scale} ({_share(each.best)})" for each in [best, *alike])
        raise ValueError(
            f"it does not scale its pixels, and is equally accurate on {sample.name} images with "
            f"pixels {equal}; set --pixels to the scale used in training"
        )
    needed = {}
    if best is not readings[0] and scale != pixels.AUTO:
        needed[f"--pixels {best.scale}"] = (
            best.best,
            f"pixels {readings[0].scale}",
            readings[0].best,
        )
    if best.other_order and not ordered:
        order = ",".join(dataset.class_names[at] for at in best.order)
        given = ",".join(dataset.class_names)
        needed[f"--labels {shlex.quote(order)}"] = (
            best.reordered,
            f"the order {given}",
            best.right,
        )
    if needed:
        reasons = "; ".join(
            f"with {option}, {_share(right)} of {len(sample):,} {sample.name} images are "
            f"classified correctly, and {_share(otherwise)} with {other}"
            for option, (right, other, otherwise) in needed.items()
        )
        raise ValueError(f"it seems to need {' '.join(needed)}: {reasons}")
    return best


def _check_outputs(network: Canonical, outputs: np.ndarray) -> None:
    """Reject outputs that look like probabilities but have no removable final activation.

    Raises:
        ValueError: the outputs look like probabilities.
    """
    if network.ending == "logits":
        sums = outputs.sum(axis=1)
        if outputs.min() >= 0 and (np.allclose(sums, 1, atol=1e-3) or outputs.max() <= 1):
            raise ValueError(
                "its outputs are between 0 and 1 for every image, like probabilities, but it has "
                "no final softmax to remove; end it with logits"
            )


def _check_threshold(file: KerasFile, sample: Split, scale: str) -> None:
    """Reject a single output that is not the logit of two classes.

    Raises:
        ValueError: its threshold is 0.5, as in a regression to 0 and 1.
    """
    if _canonical(file, scale).ending != "logit":
        return
    outputs = file.outputs(_scaled(sample.images, scale))[:, 0]
    at_zero, at_half = ((outputs > threshold) == sample.labels for threshold in (0, 0.5))
    if is_better(at_half, at_zero):
        raise ValueError(
            f"its single output has the threshold 0.5 ({_share(at_half)} of the {sample.name} "
            f"images are classified correctly), not 0 ({_share(at_zero)}), so it is not a logit; "
            "end the network with a sigmoid"
        )


def _check_same(
    file: KerasFile, network: Canonical, outputs: np.ndarray, images: np.ndarray
) -> None:
    """Compare the outputs of the canonical network and of the original on dataset images.

    Raises:
        ValueError: they differ by more than the tolerance.
    """
    logits = network.model.predict(images.astype(np.float32), batch_size=100, verbose=0)
    tolerance = max(_TOLERANCES[dtype] for dtype in _dtypes(file.model))
    if network.ending == "logits":
        difference = np.abs(logits - outputs).max() / max(float(np.ptp(outputs)), 1e-30)
    else:
        difference = np.abs(softmax(logits) - network.probabilities(outputs)).max()
    # The negation also rejects NaN.
    if not difference <= tolerance:
        raise ValueError(
            f"its outputs differ from those of its converted copy by {difference:.2g}, allowed "
            f"{tolerance:g}"
        )


def _dtypes(model: keras.Model) -> set[str]:
    """Return float32 and the compute dtypes of a model's layers that have a tolerance."""
    layers = model._flatten_layers()
    return {"float32"} | {each.compute_dtype for each in layers} & _TOLERANCES.keys()


def _share(right: np.ndarray) -> str:
    return f"{100 * np.mean(right):.1f} %"
