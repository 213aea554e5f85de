"""Load image classification datasets, each as three disjoint splits of uint8 images.

A dataset comes from tensorflow-datasets (tfds), from a folder of pictures, or is the embedded
digits. MNIST can also be prepared from a folder with its four original files. ``auto`` is MNIST if
it is available, otherwise the digits.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from etils import epy

from zoo.data import image_folder, preprocessing, tfds_sets
from zoo.data.array_cache import Announce
from zoo.data.preprocessing import POLARITIES, Preprocessing, detect_background, shown
from zoo.data.splits import NAMES, Split
from zoo.errors import InputError, unknown

with epy.lazy_imports():
    import tensorflow_datasets as tfds

HELP = (
    "auto, digits, a tensorflow-datasets name such as mnist, emnist/letters or mnist:3.0.1, or a "
    "folder of pictures"
)

AUTO = "auto"
INKS = (AUTO, "on", "off")

_LICENCES = {"digits": "CC BY 4.0", "mnist": "CC BY-SA 3.0"}
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")


@dataclass(frozen=True)
class Dataset:
    """An image classification dataset with disjoint splits.

    Attributes:
        name: name of the dataset, or of the folder without its path.
        source: name with which ``load`` finds the dataset; for a folder its absolute path.
        version: version of a tfds dataset, or fingerprint of a folder's content.
        class_names: names of the classes in label order.
        licence: licence of the images, if known.
        homepage: homepage of a tfds dataset, otherwise empty.
        preprocessing: how a picture file becomes an image of the dataset.
        taken: splits that the dataset lacks and that were taken from its train split.
        train: images for training.
        validation: images for selecting networks and settings.
        test: images for the final evaluation.
    """

    name: str
    source: str
    version: str
    class_names: tuple[str, ...]
    licence: str
    homepage: str
    preprocessing: Preprocessing
    taken: tuple[str, ...]
    train: Split
    validation: Split
    test: Split

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """``(height, width, channels)`` of every image."""
        return self.preprocessing.shape

    def in_order(self, class_names: Sequence[str]) -> Dataset:
        """Return the dataset with its classes, and so its labels, in another order.

        Raises:
            InputError: ``class_names`` are not exactly the classes of the dataset.
        """
        if sorted(class_names) != sorted(self.class_names):
            wrong = [each for each in class_names if each not in self.class_names]
            named = f"{wrong[0]!r} is not one of" if wrong else "each must be named once:"
            raise InputError(
                f"--labels must name the {len(self.class_names)} classes of {self.name}: "
                f"{named} {', '.join(self.class_names)}"
            )
        places = np.array([list(class_names).index(each) for each in self.class_names])

        def renumbered(split: Split) -> Split:
            return Split(split.name, split.images, places[split.labels])

        return dataclasses.replace(
            self,
            class_names=tuple(class_names),
            train=renumbered(self.train),
            validation=renumbered(self.validation),
            test=renumbered(self.test),
        )

    def facts(self) -> dict[str, Any]:
        """Return the description of the data for a bundle, as JSON values."""
        return {
            "name": self.name,
            "version": self.version,
            "licence": self.licence,
            "homepage": self.homepage,
            "class_names": list(self.class_names),
            "image_shape": list(self.image_shape),
            "preprocessing": self.preprocessing.record(),
            "taken_from_train": list(self.taken),
            **{f"{name}_count": len(getattr(self, name)) for name in NAMES},
            "fingerprints": {name: getattr(self, name).fingerprint for name in NAMES},
        }

    def record(self) -> dict[str, Any]:
        """Return the description of the data for a run: the facts and the source."""
        return {"source": self.source, **self.facts()}


def load_recorded(recorded: dict[str, Any], name: str | None = None, **options: Any) -> Dataset:
    """Load a dataset with the preprocessing that a run recorded.

    Args:
        recorded: ``Dataset.record()`` of the run.
        name: another dataset, or the new path of the folder; by default the recorded source.
        **options: further arguments of ``load``.

    Raises:
        InputError: as ``load``, or no preprocessing is recorded.
    """
    how = preprocessing.recorded(recorded)
    return load(
        recorded["source"] if name is None else name,
        report=False,
        **how.choices(),
        **options,
    )


def differences(recorded: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return a phrase for each difference between the facts of two datasets.

    Args:
        recorded: facts that a run or a bundle records.
        now: facts of the data that was loaded.
    """
    changes = []
    for name in NAMES:
        before, count = recorded[f"{name}_count"], now[f"{name}_count"]
        if before != count:
            changes.append(f"{name} has {count:,} images instead of the recorded {before:,}")
        elif recorded["fingerprints"][name] != now["fingerprints"][name]:
            changes.append(f"images or labels of {name} have changed")
    for key in ("name", "version", "class_names", "image_shape", "preprocessing"):
        # A folder's version is a hash of its content: the differences of the splits say more.
        if recorded[key] != now[key] and not (key == "version" and changes):
            changes.append(f"{key} is {now[key]} instead of the recorded {recorded[key]}")
    return changes


def check_name(name: str) -> None:
    """Check that a name is a dataset or a folder, without starting TensorFlow.

    Raises:
        InputError: the name is empty, not a folder, or unknown; the message suggests another.
    """
    if not name.strip():
        raise InputError(f"--data takes {HELP}, received {name!r}")
    if is_folder(name):
        path = Path(name)
        if path.suffix.lower() in _ARCHIVES:
            raise InputError(f"{shown(name)} is an archive; unpack it and give its folder")
        if not path.is_dir():
            kind = "is a file, not a folder" if path.exists() else "does not exist"
            raise InputError(f"{shown(name)} {kind}; give a dataset or a folder of pictures")
        return
    known = ["auto", "digits", *tfds_sets.names()]
    if tfds_sets.set_name(name) not in known:
        folders = [path.name for path in Path().glob("*/")]
        described = f"{HELP}; there is no folder {name!r} here"
        raise unknown("dataset", name, known, preferred=folders, described=described)


def _print_to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


def load(
    name: str = AUTO,
    *,
    image_size: tuple[int, int] | None = None,
    channels: int | None = None,
    fit: str = "pad",
    background: str = "white",
    polarity: str = AUTO,
    ink: str = AUTO,
    data_dir: str | None = None,
    manual_dir: str | None = None,
    offline: bool = False,
    trainable: bool = True,
    report: bool = True,
    announce: Announce = _print_to_stderr,
) -> Dataset:
    """Load a dataset, preparing it first if necessary.

    Args:
        name: ``auto`` (``mnist`` if it is available, otherwise ``digits``), ``digits``, the name
            of a tfds dataset, or a folder of pictures.
        image_size: height and width to resize to; required for a folder, by default the size of a
            tfds dataset.
        channels: channels of the images; by default those of a tfds dataset, and for a folder 1 if
            all its files are stored as grey, otherwise 3.
        fit: ``pad``, ``crop`` or ``stretch``: how pictures of other proportions are fitted
            (docs/pictures.md).
        background: what transparent pixels are filled with: ``white`` or ``black``.
        polarity: ``keep``, ``light-on-dark`` or ``dark-on-light``; ``auto`` is ``keep`` for a
            folder, or ``light-on-dark`` with ``ink="on"``; for a tfds dataset it is detected from
            the edges of the images. Images with another background are inverted.
        ink: ``on``, ``off`` or ``auto``: whether pictures of other sizes are photographs of
            handwriting; ``auto`` is off for a folder, and detected for a tfds dataset.
        data_dir: where tfds stores prepared datasets, and decoded folders are cached; by default
            ``TFDS_DATA_DIR`` or ``~/tensorflow_datasets``.
        manual_dir: folder with the original files; for MNIST by default ``ZOO_MANUAL_DIR``.
        offline: never use the internet.
        trainable: whether to reject a dataset without training images; such a dataset can only be
            evaluated.
        report: whether to announce what a folder contains, or which splits are taken from the train
            split.
        announce: called with each line that a user should see.

    Raises:
        InputError: the dataset is unknown, unavailable, not for image classification, or cannot be
            written; or the folder has a wrong structure or contains unreadable pictures.
        ZooError: the disk is full.

    >>> digits = zoo.load_data("digits")
    >>> digits.train.images.shape, digits.test.labels.shape
    ((1266, 28, 28, 1), (353,))
    """
    check_name(name)
    if polarity not in (AUTO, *POLARITIES):
        raise unknown("polarity", polarity, (AUTO, *POLARITIES))
    if ink not in INKS:
        raise unknown("ink", ink, INKS)
    if is_folder(name):
        if image_size is None:
            raise InputError(f"the pictures of {name} need a size; give it with --image-size")
        if channels not in (None, 1, 3):
            raise InputError(f"a folder of pictures has 1 or 3 channels, received {channels}")
        found = image_folder.survey(Path(name), trainable=trainable)
        wanted = Preprocessing(
            height=image_size[0],
            width=image_size[1],
            channels=channels or image_folder.channels_of(found),
            fit=fit,
            background=background,
            polarity=_folder_polarity(polarity, ink),
            ink=ink == "on",
        )
        for line in image_folder.report(found) if report else image_folder.not_read(found):
            announce(line)
        root = Path(data_dir or tfds.core.constants.get_default_data_dir())
        return Dataset(
            name=shown(Path(os.path.abspath(name)).name) or "pictures",
            source=os.path.abspath(name),
            version=found.fingerprint(),
            class_names=found.class_names,
            licence="not stated",
            homepage="",
            preprocessing=wanted,
            taken=found.taken,
            **image_folder.read(found, wanted, root, announce),
        )

    builder = _prepared(name, data_dir, manual_dir, offline, announce)
    found_splits, folder = tfds_sets.read(
        builder, image_size, channels, fit=fit, background=background, announce=announce
    )
    taken = tuple(each for each in NAMES if each not in found_splits)
    if trainable and "train" not in found_splits:
        raise InputError(
            f"{name} has no train split, only {', '.join(found_splits)}: networks cannot be "
            f"trained on it, only evaluated (python -m zoo.evaluate RUN --data {name})"
        )
    if "train" in found_splits:
        parts = tfds_sets.completed(found_splits, folder, announce)
        if report and taken and builder.name != "mnist":  # whose validation split is the post's
            announce(f"{name} has no {' and no '.join(taken)} split: images taken from train.")
    else:
        some = next(iter(found_splits.values()))
        parts = {each: some.part(each, slice(0)) for each in NAMES} | found_splits
    own, is_ink = detect_background(parts["train" if trainable else "test"].images)
    height, width, channels = parts["test"].images.shape[1:]
    resolved = own if polarity == AUTO else polarity
    wanted = Preprocessing(
        height=height,
        width=width,
        channels=channels,
        fit=fit,
        background=background,
        polarity=resolved,
        ink=is_ink and resolved != "keep" if ink == AUTO else ink == "on",
    )
    if resolved not in ("keep", own):
        parts = tfds_sets.with_polarity(parts, folder, resolved, announce)
    return Dataset(
        name=tfds_sets.full_name(builder),
        source=tfds_sets.full_name(builder) if name == AUTO else name,
        version=str(builder.version),
        class_names=tfds_sets.class_names(builder),
        licence=_LICENCES.get(builder.name, "see its homepage"),
        homepage=builder.info.homepage,
        preprocessing=wanted,
        taken=taken,
        **parts,
    )


def is_folder(name: str) -> bool:
    """Return whether a name means a folder of pictures; the name of a known dataset never does."""
    path = Path(name)
    if path.is_absolute() or path.parts[:1] in ((), ("..",)) or name.startswith((".", "~")):
        return True
    known = tfds_sets.set_name(name) in {AUTO, "digits", *tfds_sets.names()}
    return not known and ("/" in name or path.exists() or path.suffix.lower() in _ARCHIVES)


def _folder_polarity(polarity: str, ink: str) -> str:
    if polarity != AUTO:
        return polarity
    return "light-on-dark" if ink == "on" else "keep"


def _prepared(
    name: str, data_dir: str | None, manual_dir: str | None, offline: bool, announce: Announce
) -> Any:
    """Return the builder of a prepared dataset; for ``auto`` without MNIST, of the digits."""
    set_name = "mnist" if name == AUTO else name
    builder = tfds_sets.find(set_name, data_dir)
    # The variable may be set in a profile, and other datasets have files with the same names.
    default = os.environ.get("ZOO_MANUAL_DIR") if builder.name == "mnist" else None
    manual = Path(given) if (given := manual_dir or default) else None
    obstacle = tfds_sets.obstacle(builder, manual, offline)
    if obstacle and name == AUTO:
        announce(
            "NOTICE: this is NOT MNIST. MNIST is not prepared, no manual folder was given, and "
            f"{obstacle}: using the 1,797 embedded digits instead (--data digits)."
        )
        set_name, manual = "digits", None
        builder = tfds_sets.find(set_name, data_dir)
    elif obstacle:
        variable = " or ZOO_MANUAL_DIR" if builder.name == "mnist" else ""
        raise InputError(
            f"{name} is not prepared in {builder.data_dir_root} and {obstacle}; provide it by "
            f"(1) an internet connection, (2) --manual-dir{variable} with the original "
            f"files, or (3) --data-dir or TFDS_DATA_DIR with a prepared {name}; "
            "--data digits needs none of these"
        )
    if not builder.is_prepared():
        builder = tfds_sets.prepare(set_name, builder, announce, manual)
    return builder
