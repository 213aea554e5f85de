"""Build networks with trained weights, which may be those of the package or of a run."""

from __future__ import annotations

from pathlib import Path

from etils import epy

from zoo.errors import InputError, unknown
from zoo.models import registry
from zoo.runs import load_model
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
            ``list_models(pretrained=True)`` have, or a run folder; None for new weights.
        input_shape: ``(height, width, channels)``; by default that of the registry.
        classes: number of logits; by default that of the registry.
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
    model = registry.create_model(
        name,
        input_shape=input_shape,
        classes=classes,
        include_top=include_top,
        pooling=pooling,
        precision=precision,
    )
    if weights is not None:
        source = load_model(_run_of(name, weights))
        _copy_weights(source, model)
        if include_top:
            model.class_names, model.preprocessing = source.class_names, source.preprocessing
    return model


def _run_of(name: str, weights: str | Path) -> Path:
    """Return the run folder with the weights.

    Raises:
        InputError: ``weights`` is neither a run folder nor the dataset of weights in the package.
    """
    own = [released()[name]["dataset"]] if name in released() else []
    if weights in own:
        return released_folder(name)
    if Path(weights).exists():
        return Path(weights)
    described = ", ".join([*own, "a run folder"])
    raise unknown(f"weights of {name}", str(weights), own, described=described)


def _copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Copy the weights of all layers of the target, which the source must have.

    Raises:
        InputError: a layer is missing in the source, or its weights have another shape.
    """
    have = {layer.name: layer for layer in source.layers}
    for layer in target.layers:
        if not layer.weights:
            continue
        shapes = [tuple(weight.shape) for weight in layer.weights]
        found = have.get(layer.name)
        if found is None or [tuple(weight.shape) for weight in found.weights] != shapes:
            raise InputError(
                f"the weights of {source.name} do not fit layer {layer.name} of {target.name}; "
                f"they are for images of {source.input_shape[1:]} and {source.output_shape[1]} "
                "classes"
            )
        layer.set_weights(found.get_weights())
