"""What is exported: a trained network, here from a run; ``keras_source`` takes it from a file."""

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
    """A trained network.

    Attributes:
        name: under which its files are published.
        model: float32, raw pixels to logits, as it was trained: what every file is compared with.
        deployed: the same without what a device need not compute.
        origin: where it comes from, for the manifest: the facts of a ``run``, or the name and hash
            of a ``keras_file``.
        relation: to its data, in words: ``trained on`` or ``verified on``.
        story: where it comes from in a sentence, for the model card.
        notes: what a user should know before the conversions begin.
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
    """Return the network with its scaling folded, or itself where that cannot be done."""
    try:
        return inference_model(model)
    except ValueError:
        return model
