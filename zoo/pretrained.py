"""Build networks with trained weights, which may be those of the package or of a run."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from etils import epy

from zoo.errors import InputError, unknown
from zoo.models import registry
from zoo.runs import Run, find, load_model
from zoo.weights import released, released_folder

with epy.lazy_imports():
    import keras


def create_model(
    name: str,
    *,
    weights: str | Path | None = None,
    input_shape: tuple[int, int, int] | None = None,
    classes: int | None = None,
    include_top: bool = True,
    pooling: str | None = None,
    precision: str = "float32",
) -> keras.Model:
    """Build a network, with new or trained weights.

    Args:
        name: one of ``list_models()``.
        weights: ``"mnist"`` for the trained weights of the package, which the networks in
            ``list_models(pretrained=True)`` have, or what ``load_model`` takes; None for new
            weights.
        input_shape: ``(height, width, channels)``; by default that of the weights, or of the
            registry.
        classes: number of logits; by default that of the weights, or of the registry.
        include_top: whether the network ends in logits; if False, it ends in its last feature maps.
        pooling: ``"avg"`` or ``"max"`` pools each feature map to one value; requires
            ``include_top=False``.
        precision: ``"float32"``, or ``"bfloat16"`` for mixed precision: bfloat16 arithmetic,
            float32 weights and logits.

    Returns:
        A functional model that maps raw pixels ``[N, height, width, channels]`` (``uint8``, or
        floats in 0..255) to float32 logits ``[N, classes]``, or to features.

    Raises:
        InputError: the name, precision or pooling is unknown, the image is too small, ``classes``
            is below one, the network has no feature maps, Keras uses another backend, the
            registered function fails or returns another kind of model, or the weights do not fit.

    >>> zoo.create_model("ltfn5", input_shape=(32, 32, 3), classes=7).output_shape
    (None, 7)
    >>> zoo.create_model("ltfn5", include_top=False, pooling="avg").output_shape
    (None, 128)
    """
    source = None if weights is None else load_model(run_of(name, weights).folder)
    if source and input_shape is None:
        input_shape = source.input_shape[1:]
    if source and classes is None:
        classes = source.output_shape[1]
    model = registry.create_model(
        name,
        input_shape=input_shape,
        classes=classes,
        include_top=include_top,
        pooling=pooling,
        precision=precision,
    )
    if source:
        copy_weights(source, model)
        height, width, _ = model.input_shape[1:]
        model.class_names = source.class_names
        model.preprocessing = dataclasses.replace(source.preprocessing, height=height, width=width)
    return model


def run_of(name: str, weights: str | Path) -> Run:
    """Return the run with trained weights for a network.

    Args:
        name: the network.
        weights: as in ``create_model``.

    Raises:
        InputError: there is no such network, or ``weights`` is neither a run of the network nor the
            dataset of weights in the package.
    """
    registry.get_spec(name)
    own = [released()[name]["dataset"]] if name in released() else []
    if weights in own:
        return Run(released_folder(name))
    run = find(weights)
    if run.folder.exists():
        if (model := run.read_result()["model"]) != name:
            raise InputError(f"{weights} has the weights of {model}, not of {name}")
        return run
    described = ", ".join([*own, "a run folder"])
    raise unknown(f"weights of {name}", str(weights), own, described=described)


def copy_weights(source: keras.Model, target: keras.Model, *, new_head: bool = False) -> None:
    """Copy the weights of all layers of the target, which the source must have.

    Args:
        source: a trained network.
        target: a network with the same layers, or the first of them.
        new_head: whether the last layer of the target keeps its own weights.

    Raises:
        InputError: a layer is missing in the source, or its weights have another shape.
    """
    layers, trained = (
        [each for each in model.layers if each.weights] for model in (target, source)
    )
    have: dict[str, keras.Layer] = {layer.name: layer for layer in trained}
    if not have.keys() >= {layer.name for layer in layers}:
        # Keras numbers the layers without names anew for each network that a process builds.
        have = dict(zip((layer.name for layer in layers), trained, strict=False))
    for layer in layers[:-1] if new_head else layers:
        found = have.get(layer.name)
        if found is None or _shapes(found) != _shapes(layer):
            raise InputError(
                f"the weights of {source.name} do not fit layer {layer.name} of {target.name}; "
                f"they are for images of {'x'.join(map(str, source.input_shape[1:]))} and "
                f"{source.output_shape[1]} classes"
            )
        layer.set_weights(found.get_weights())


def _shapes(layer: keras.Layer) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in layer.weights]
