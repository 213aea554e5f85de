"""A trained network to export, loaded from a run; ``keras_source`` loads one from a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from etils import epy

from export.network.deploy import inference_model
from zoo.runs import Run, load_model

with epy.lazy_imports():
    import keras


@dataclass(frozen=True)
class Source:
    """A trained network to export.

    Attributes:
        name: name under which the files are published.
        model: the network as trained, float32, raw pixels to logits; all files are compared with
            it.
        deployed: the network to convert: its scaling is folded into a kernel where possible.
        origin: the source, for the manifest: the facts of a ``run``, or the name and hash of a
            ``keras_file``.
        relation: relation to the dataset: ``trained on`` or ``verified on``.
        story: a sentence on the source, for the model card.
        notes: messages for the user, shown before the conversions begin.
    """

    name: str
    model: keras.Model
    deployed: keras.Model
    origin: dict[str, Any]
    relation: str
    story: str
    notes: tuple[str, ...] = ()


def from_run(run: Run) -> Source:
    """Return the network of a finished run.

    Raises:
        InputError: there is no finished run, or its weights are missing or modified.
    """
    result = run.read_result()
    recipe = result["recipe"]
    model = load_model(run.folder)
    # The source of the data can be a local path, which must not be published.
    published = {key: value for key, value in result["data"].items() if key != "source"}
    return Source(
        name=result["model"],
        model=model,
        deployed=deployable(model),
        origin={"run": result | {"data": published}},
        relation="trained on",
        story=(
            f"Training: recipe `{recipe['name']}`, {result['steps']:,} steps of "
            f"{recipe['batch_size']} images in {result['precision']}, one run with seed "
            f"{result['seed']}; its validation accuracy is "
            f"{100 * result['validation_accuracy']:.2f} %"
        ),
    )


def deployable(model: keras.Model) -> keras.Model:
    """Return a copy with the scaling folded into a kernel, or the model if that is impossible."""
    try:
        return inference_model(model)
    except ValueError:
        return model
