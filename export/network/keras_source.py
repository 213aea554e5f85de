"""What is exported: a user's own Keras classifier, once it is known what its numbers mean."""

from __future__ import annotations

import numpy as np
from etils import epy

from export.network import interpretation, pixels
from export.network.canonical import Canonical, canonical
from export.network.deploy import scales_pixels
from export.network.interpretation import Reading, beats, is_better
from export.network.keras_file import KerasFile
from export.network.sources import Source, deployable
from zoo.data import Announce, Dataset
from zoo.data.splits import Split
from zoo.errors import InputError
from zoo.util import atomic

with epy.lazy_imports():
    import keras

# Largest differences between the copy and the original: of a logit as a share of their range, of
# a probability. Only the original's own rounding, where it computes in fewer bits, excuses more.
_TOLERANCES = {"float32": 1e-4, "float16": 0.02, "bfloat16": 0.15}


def from_keras(
    file: KerasFile,
    dataset: Dataset,
    *,
    scale: str | None = None,
    ordered: bool = False,
    announce: Announce = lambda line: None,
) -> Source:
    """Return the classifier of a Keras file as a network to export.

    Args:
        file: the classifier.
        dataset: labelled pictures that it classifies, the classes in the order of its outputs.
        scale: of the pixels it takes, one of ``pixels.NAMES``; ``auto`` is the scale that suits it
            best; None is 0..255 and fails if another scale suits it better.
        ordered: whether the user gave the order of the classes; otherwise it fails if another order
            suits the network better.
        announce: called with a line that says how it was read.

    Raises:
        InputError: the network cannot be brought into its canonical form, or its pixels, classes or
            outputs are not what they are taken for; the message says what to give.
    """
    try:
        return _from_keras(file, dataset, scale, ordered, announce)
    except ValueError as error:
        raise InputError(f"{file.path} cannot be exported: {error}") from error


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
        f"With pixels {reading.scale} {_share(reading.right)} of {len(sample):,} {sample.name} "
        "pictures are right"
    )
    deployed = deployable(network.model)
    notes = ("The pixels' scaling cannot be folded into a kernel: it stays in every file.",)
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
            f"Network: given as the Keras file `{file.path.name}`, pixels {reading.scale}, outputs "
            f"{network.ending}; of its training nothing is known"
        ),
        notes=notes if deployed is network.model else (),
    )


def _canonical(file: KerasFile, scale: str) -> Canonical:
    return canonical(
        file.model,
        name=file.name,
        image_shape=file.image_shape,
        scaling=pixels.scaling(scale),
    )


def _scaled(images: np.ndarray, scale: str) -> np.ndarray:
    """Return uint8 images [N, H, W, C] as the file's own network takes them, float32."""
    scaled = images.astype(np.float32)
    for layer in pixels.scaling(scale):
        scaled = np.asarray(layer(scaled))
    return scaled


def _reading(
    file: KerasFile, dataset: Dataset, sample: Split, *, scale: str | None, ordered: bool
) -> Reading:
    """Return how the network reads pictures.

    Raises:
        ValueError: as ``from_keras`` says.
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
        told = ", ".join(f"{each.scale} ({_share(each.best)})" for each in [best, *alike])
        raise ValueError(
            f"it does not scale its pixels itself, and is right equally often on {sample.name} "
            f"pictures with pixels {told}; give the scale it was trained on with --pixels"
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
        needed[f"--labels {order}"] = (best.reordered, f"the order {given}", best.right)
    if needed:
        reasons = "; ".join(
            f"with {option} {_share(right)} of {len(sample):,} {sample.name} pictures are right, "
            f"with {other} {_share(otherwise)}"
            for option, (right, other, otherwise) in needed.items()
        )
        raise ValueError(f"it seems to need {' '.join(needed)}: {reasons}")
    return best


def _check_outputs(network: Canonical, outputs: np.ndarray) -> None:
    """Refuse logits that seem to be probabilities.

    Raises:
        ValueError: they do.
    """
    if network.ending == "logits":
        sums = outputs.sum(axis=1)
        if outputs.min() >= 0 and (np.allclose(sums, 1, atol=1e-3) or outputs.max() <= 1):
            raise ValueError(
                "its outputs lie between 0 and 1 on every picture, as probabilities do, but no "
                "softmax at its end can be taken off; let it end in logits"
            )


def _check_threshold(file: KerasFile, sample: Split, scale: str) -> None:
    """Refuse one output that is not the logit of two classes.

    Raises:
        ValueError: its threshold is at 0.5, as that of a regression to 0 and 1.
    """
    if _canonical(file, scale).ending != "logit":
        return
    outputs = file.outputs(_scaled(sample.images, scale))[:, 0]
    at_zero, at_half = ((outputs > threshold) == sample.labels for threshold in (0, 0.5))
    if is_better(at_half, at_zero):
        raise ValueError(
            f"its one output has its threshold at 0.5 ({_share(at_half)} of the {sample.name} "
            f"pictures are right), not at 0 ({_share(at_zero)}), so it is no logit; let it end in "
            "a sigmoid"
        )


def _check_same(
    file: KerasFile, network: Canonical, outputs: np.ndarray, images: np.ndarray
) -> None:
    """Compare the canonical network with the original's own outputs on real pictures.

    Raises:
        ValueError: they differ.
    """
    logits = network.model.predict(images.astype(np.float32), batch_size=100, verbose=0)
    tolerance = max(_TOLERANCES[dtype] for dtype in _dtypes(file.model))
    if network.ending == "logits":
        difference = np.abs(logits - outputs).max() / max(float(np.ptp(outputs)), 1e-30)
    else:
        found = Canonical(network.model, "logits").probabilities(logits)
        difference = np.abs(found - network.probabilities(outputs)).max()
    # A difference that is not a number is none that is allowed.
    if not difference <= tolerance:
        raise ValueError(
            f"its results are not those of its layers one after the other: they differ by "
            f"{difference:.2g}, allowed {tolerance:g}"
        )


def _dtypes(model: keras.Model) -> set[str]:
    """Return the formats in which the layers of a model compute, those it knows a tolerance of."""
    layers = model._flatten_layers()
    return {"float32"} | {each.compute_dtype for each in layers} & _TOLERANCES.keys()


def _share(right: np.ndarray) -> str:
    return f"{100 * np.mean(right):.1f} %"
