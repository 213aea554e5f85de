"""A trained network to export, loaded from a run; ``keras_source`` loads one from a file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from etils import epy

from export.formats import FORMATS
from export.network.deploy import inference_model
from zoo import data
from zoo.data import Dataset
from zoo.runs import Run, load_data, load_model, records
from zoo.weights import is_released, released

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
        left_out: formats that cannot be made of what is at hand, each with the reason.
    """

    name: str
    model: keras.Model
    deployed: keras.Model
    origin: dict[str, Any]
    relation: str
    story: str
    notes: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)


def open_run(run: Run, name: str | None = None, **options: Any) -> tuple[Source, Dataset]:
    """Return the network of a finished run, and the dataset to verify it on.

    The dataset is that of the run. A network of the package (``zoo.weights``) is verified on the
    embedded digits if MNIST is not at hand, without the formats that need training images.

    Args:
        run: the run.
        name: the new location of the dataset, if it was moved.
        **options: ``data_dir``, ``manual_dir`` and ``offline`` of ``zoo.data.load``.

    Raises:
        InputError: there is no finished run, its weights are missing or modified, or the dataset
            differs from the run's record.
    """
    source, recorded = from_run(run), run.read_result()["data"]
    if name is not None or not is_released(run.folder):
        return source, load_data(run, name, **options)
    dataset = data.load_recorded(recorded, data.AUTO, **options)
    if dataset.name == recorded["name"]:
        return source, load_data(run, **options)
    facts = released()[source.name]
    story = (
        f"Weights: released with ltfn-zoo, trained on {recorded['name']} {recorded['version']}. "
        f"According to the release, they classify {facts['test_correct']:,} of "
        f"{facts['test_count']:,} of its test images correctly; this export did not verify that"
    )
    reason = f"it needs training images of {recorded['name']}, which is not on this machine"
    needing = {each.name: reason for each in FORMATS.values() if each.is_calibrated}
    return (
        dataclasses.replace(source, relation="verified on", story=story, left_out=needing),
        dataset,
    )


def from_run(run: Run) -> Source:
    """Return the network of a finished run.

    Raises:
        InputError: there is no finished run, or its weights are missing or modified.
    """
    result = records.without_paths(run.read_result())
    model = load_model(run.folder)
    # The source of the data can be a local path, too.
    published = {key: value for key, value in result["data"].items() if key != "source"}
    start, teachers = result["start"], [each["run"] for each in result["teachers"]]
    begun = f". It began with the weights of {start['weights']}" if start else ""
    if start and start["freeze"]:
        begun += f"; the layers up to {start['freeze']} were not trained"
    if teachers:
        begun += f". It learned from the answers of {', '.join(teachers)}"
    return Source(
        name=result["model"],
        model=model,
        deployed=deployable(model),
        origin={"run": result | {"data": published}},
        relation="trained on",
        story=(
            f"Training: recipe `{records.described(result)}`, {result['steps']:,} steps of "
            f"{result['recipe']['batch_size']} images in {result['precision']}, one run with seed "
            f"{result['seed']}; its validation accuracy is "
            f"{100 * result['validation_accuracy']:.2f} %{begun}"
        ),
    )


def deployable(model: keras.Model) -> keras.Model:
    """Return a copy with the scaling folded into a kernel, or the model if that is impossible."""
    try:
        return inference_model(model)
    except ValueError:
        return model
