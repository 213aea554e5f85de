"""What is exported: a run of the zoo, or a person's own Keras file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from etils import epy

from export.inference import inference_model
from zoo import files
from zoo.errors import InputError
from zoo.runs import Run, load_model

with epy.lazy_imports():
    import keras
    from keras import layers

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Source:
    """A trained network.

    Attributes:
        name: under which its files are published.
        model: float32, raw pixels to logits, as it was trained: what every file is held against.
        deployed: the same without what a device need not compute.
        origin: where it comes from, for the manifest: the facts of a ``run``, or the name and hash
            of a ``keras_file``.
        story: the same in a sentence, for the model card.
        notes: what a person should know before the conversions begin.
    """

    name: str
    model: keras.Model
    deployed: keras.Model
    origin: dict[str, Any]
    story: str
    notes: tuple[str, ...] = ()


def from_run(run: Run) -> Source:
    """Return the network of a finished run.

    Raises:
        InputError: no finished run is there, or its weights are missing or were altered.
    """
    result = run.read_result()
    recipe = result["recipe"]
    model = load_model(run.folder)
    # Where the data was found is a path of this machine, and nothing to publish.
    published = {key: value for key, value in result["data"].items() if key != "source"}
    return Source(
        name=result["model"],
        model=model,
        deployed=inference_model(model),
        origin={"run": result | {"data": published}},
        story=(
            f"recipe `{recipe['name']}`, {result['steps']:,} steps of {recipe['batch_size']} "
            f"images in {result['precision']}, one run with seed {result['seed']}; its validation "
            f"accuracy is {100 * result['validation_accuracy']:.2f} %"
        ),
    )


def from_keras(file: Path, largest_pixel: int) -> Source:
    """Return a person's own image classifier; code within the file is not run.

    It may end in logits or in a softmax, which is taken off: every artifact gives logits.

    Args:
        file: a ``.keras`` file: images [N, H, W, C] in, one value for each class out.
        largest_pixel: what white is for it: 255, or 1 if its pixels were divided before.

    Raises:
        InputError: the file cannot be read, or holds no such network.
    """
    if not _NAME.fullmatch(file.stem):
        raise InputError(
            f"{file}: its files are published as {file.stem!r}, which must begin with a letter or "
            "digit and have only these, '_', '.' and '-'; rename it"
        )
    try:
        loaded = keras.saving.load_model(file, compile=False, safe_mode=True)
        model = _raw_pixels_to_logits(loaded, file.stem, largest_pixel)
        _check_same(loaded, model, largest_pixel)
    except Exception as error:  # of a foreign file anything: a damaged archive, an unknown layer
        told = str(error).strip() or type(error).__name__
        raise InputError(f"{file} cannot be exported: {told.splitlines()[0]}") from error
    deployed = deployable(model)
    notes = ("The pixels' scaling cannot be folded into a kernel: it stays in every file.",)
    return Source(
        name=file.stem,
        model=model,
        deployed=deployed,
        origin={"keras_file": {"name": file.name, "sha256": files.sha256(file)}},
        story=f"not by this project: it was given as `{file.name}`",
        notes=notes if deployed is model else (),
    )


def deployable(model: keras.Model) -> keras.Model:
    """Return the network with its scaling folded, or itself where that cannot be done."""
    try:
        return inference_model(model)
    except ValueError:
        return model


def _raw_pixels_to_logits(loaded: Any, name: str, largest_pixel: int) -> keras.Model:
    """Return a copy of the network that takes white as 255 and ends in logits."""
    if not isinstance(loaded, keras.Model) or len(loaded.inputs) != 1 or len(loaded.outputs) != 1:
        raise ValueError("it takes a Keras model with one input and one output")
    shape, classes = loaded.inputs[0].shape, loaded.outputs[0].shape
    if len(shape) != 4 or None in shape[1:] or len(classes) != 2 or classes[1] is None:
        raise ValueError(
            "it takes a network of images [N, H, W, C] to classes [N, classes], "
            f"received {shape} to {classes}"
        )
    if low := [each.name for each in loaded.layers if each.compute_dtype != "float32"]:
        raise ValueError(f"it takes float32 layers, {low[0]} computes in another format")
    functional = keras.Model(loaded.inputs[0], loaded.outputs[0], name=name)
    image = keras.Input(shape[1:], name="image")
    pixels = image if largest_pixel == 255 else layers.Rescaling(1 / 255, name="scale")(image)

    def call(layer: keras.Layer, *arguments: Any, **options: Any) -> Any:
        scaled = keras.tree.map_structure(lambda x: pixels if x is image else x, arguments)
        return layer(*scaled, **options)

    model = keras.models.clone_model(
        functional,
        input_tensors=image,
        clone_function=lambda layer: _without_softmax(layer, layer is functional.layers[-1]),
        call_function=call,
    )
    model.set_weights(functional.get_weights())
    return model


def _without_softmax(layer: keras.Layer, last: bool) -> keras.Layer:
    """Return a copy of a layer, which ends in logits if it is the last one."""
    config = layer.get_config()
    if last and isinstance(layer, layers.Softmax):
        return layers.Identity(name=layer.name)
    activation = config.get("activation", "linear")
    if last and activation == "softmax":
        config["activation"] = "linear"
    elif last and activation != "linear":
        raise ValueError(f"it takes a network that ends in logits or softmax, not {activation}")
    return type(layer).from_config(config)


def _check_same(loaded: keras.Model, model: keras.Model, largest_pixel: int) -> None:
    """Hold the logits against the loaded network's own results, on pixels of noise."""
    images = np.random.default_rng(0).integers(0, 256, (8, *model.input_shape[1:]))
    own = np.asarray(loaded(images.astype(np.float32) * (largest_pixel / 255), training=False))
    logits = np.asarray(model(images.astype(np.float32), training=False))
    probabilities = np.asarray(keras.ops.softmax(logits))
    spread = max(float(np.ptp(own)), 1e-30)
    if min(np.abs(own - logits).max(), np.abs(own - probabilities).max()) > 1e-4 * spread:
        raise ValueError("its results are not those of its layers up to the softmax")
