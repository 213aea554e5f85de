"""The networks in the web page of an exported one, for comparison (``--beside``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from export.formats import FORMATS, Format
from export.network.sources import Source, from_run
from zoo.data import Dataset
from zoo.errors import InputError
from zoo.runs import find, records
from zoo.weights import is_released

OTHER_FORMATS = ("float16", "dynamic")
"""Formats, besides float32, that LiteRT.js runs."""


@dataclass(frozen=True)
class Shown:
    """A network of the web page.

    Attributes:
        name: its name in the page.
        source: the network.
        format: format of its LiteRT file, with the bounds that the page must keep.
    """

    name: str
    source: Source
    format: Format

    def story(self, dataset: Dataset) -> str:
        """Return how it was trained, if that is known, and verified on a dataset."""
        run = self.source.origin.get("run")
        if run is None:
            return f"verified on {dataset.name}"
        trained = f"trained on {run['data']['name']} with recipe {records.described(run)}"
        is_other = run["data"]["name"] != dataset.name
        return f"{trained}, verified on {dataset.name}" if is_other else trained


def shown(
    source: Source, dataset: Dataset, beside: Sequence[str], formats: Sequence[Format] = ()
) -> list[Shown]:
    """Return the networks of a web page, the exported one first.

    Args:
        source: the exported network.
        dataset: the dataset that verifies it; the others must be made for the same images.
        beside: run folders, networks of ``zoo.list_models(pretrained=True)``, or names in
            ``OTHER_FORMATS`` for the exported network in another format.
        formats: requested formats, whose bounds replace the default ones.

    Raises:
        InputError: there is no such network, it takes other images or has other classes, or two of
            the networks have the same name.
    """
    bounded = FORMATS | {each.name: each for each in formats}
    found = [Shown(source.name, source, FORMATS["float32"])]
    for text in beside:
        if text in OTHER_FORMATS:
            found.append(Shown(f"{source.name} ({text})", source, bounded[text]))
            continue
        run = find(text)
        other = from_run(run)
        _check_alike(text, other, dataset)
        folder = "package" if is_released(run.folder) else run.folder.name
        is_plain = folder in ("package", other.name) and other.name != source.name
        name = other.name if is_plain else f"{other.name} ({folder})"
        found.append(Shown(name, other, FORMATS["float32"]))
    names = [each.name for each in found]
    for text, name in zip(beside, names[1:], strict=True):
        if names.count(name) > 1:
            raise InputError(
                f"--beside {text}: the page would have two networks with the name {name}; give "
                "each once, or rename a run folder"
            )
    return found


def _check_alike(text: str, other: Source, dataset: Dataset) -> None:
    """Check that a network is made for the images of a dataset.

    Raises:
        InputError: it is not.
    """
    differing = [
        what
        for what, own, expected in (
            ("classes", other.model.class_names, dataset.class_names),
            ("images", other.model.input_shape[1:], dataset.image_shape),
            ("preprocessing", other.model.preprocessing, dataset.preprocessing),
        )
        if own != expected
    ]
    if differing:
        raise InputError(
            f"--beside {text} has other {' and '.join(differing)} than {dataset.name}; give a "
            "network for the same pictures"
        )
