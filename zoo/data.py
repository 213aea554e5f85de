"""The one place that reads data: each set becomes three disjoint splits of uint8 images.

A set is any image classification set of tensorflow-datasets, a person's own folder of pictures, or
the embedded digits. MNIST may also come from a folder with the four original files; ``auto`` takes
it where it can be had, and else the digits.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from etils import epy
from filelock import FileLock

from zoo import decoded
from zoo.errors import InputError, unknown
from zoo.splits import Split, split_of

with epy.lazy_imports():
    import tensorflow_datasets as tfds

HELP = "auto, digits, a tensorflow-datasets name such as mnist, or a folder of pictures"

MNIST_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)

_LICENCES = {"digits": "CC BY 4.0", "mnist": "CC BY-SA 3.0"}

# As in the post, where a set has no validation split, the first training images are held out, but
# no more than a tenth of them.
_VALIDATION_IMAGES = 5_000

_PROBE_SECONDS = 3.0

Announce = Callable[[str], None]


@dataclass(frozen=True)
class Dataset:
    """A classification set: its splits share no image."""

    name: str
    version: str
    class_names: tuple[str, ...]
    licence: str
    homepage: str
    train: Split
    validation: Split
    test: Split

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """``(height, width, channels)`` of every image."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels

    @property
    def border(self) -> float:
        """Mean pixel along the edges of the training images, 0..255: ink on black has about 0."""
        images = self.train.images
        edges = (images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1])
        return round(float(np.mean([edge.mean() for edge in edges])), 1)

    def facts(self) -> dict[str, Any]:
        """Return what a run and a bundle say of their data, as JSON values."""
        return {
            "name": self.name,
            "version": self.version,
            "licence": self.licence,
            "homepage": self.homepage,
            "class_names": list(self.class_names),
            "image_shape": list(self.image_shape),
            "train_count": len(self.train),
            "validation_count": len(self.validation),
            "test_count": len(self.test),
            "border": self.border,
        }


def check_name(name: str) -> None:
    """Refuse the name of no data set. Does not start TensorFlow.

    Raises:
        InputError: there is no such folder, or the name is unknown; the message suggests another.
    """
    if is_folder(name) and not Path(name).is_dir():
        raise InputError(f"there is no folder {name}")
    if name in {"auto", "digits"} or is_folder(name):
        return
    if name not in (known := ["auto", "digits", *_tfds_names()]):
        raise unknown("data set", name, known, told=HELP)


def load(
    name: str = "auto",
    *,
    image_size: tuple[int, int] | None = None,
    data_dir: str | None = None,
    manual_dir: str | None = None,
    offline: bool = False,
    announce: Announce = lambda line: print(line, file=sys.stderr),
) -> Dataset:
    """Read a data set, preparing it first where that was not done before.

    Args:
        name: ``auto`` (``mnist`` where it can be had and else ``digits``), ``digits``, the name
            of a tfds set, or a folder of pictures.
        image_size: height and width to resize to; by default a tfds set's own, which a folder
            does not have.
        data_dir: where tfds keeps prepared sets; by default ``TFDS_DATA_DIR`` or tfds' own.
        manual_dir: folder with a set's original files; for MNIST by default ``ZOO_MANUAL_DIR``.
        offline: never touch the network.
        announce: called with each line a person should know of.

    Raises:
        InputError: the set is unknown, no image classification set, cannot be had, or cannot be
            written where it should be.
    """
    check_name(name)
    # The variable may stand in a profile; other sets have files of the same names.
    standing = os.environ.get("ZOO_MANUAL_DIR") if name in {"auto", "mnist"} else None
    manual = Path(given) if (given := manual_dir or standing) else None
    if is_folder(name):
        if image_size is None:
            raise InputError(f"the pictures of {name} need a size; give it with --image-size")
        builder = _pictures_builder(Path(name), image_size, data_dir)
    elif name == "digits":
        builder = _digits_builder(data_dir)
    else:
        builder = _tfds_builder("mnist" if name == "auto" else name, data_dir)
        obstacle = _obstacle(builder, manual, offline)
        if obstacle and name == "auto":
            announce(
                "NOTICE: this is NOT MNIST. It is not prepared here, no manual folder was given "
                f"and {obstacle}: using the 1,797 embedded digits instead (--data digits)."
            )
            builder = _digits_builder(data_dir)
        elif obstacle:
            raise InputError(
                f"{name} is not prepared in {builder.data_dir_root} and {obstacle}; provide it by "
                "(1) a network connection, (2) --manual-dir or ZOO_MANUAL_DIR with the original "
                f"files, or (3) --data-dir or TFDS_DATA_DIR with a prepared {name}; "
                "--data digits needs none of these"
            )
    if not builder.is_prepared():
        _prepare(builder, announce, manual)
    return _read(builder, name if is_folder(name) else builder.name, image_size, announce)


def is_folder(name: str) -> bool:
    """Say whether a data set's name means a folder of pictures: a known name never does."""
    if "/" in name or os.sep in name:
        return True
    return Path(name).is_dir() and name not in {"auto", "digits", *_tfds_names()}


def _tfds_names() -> list[str]:
    return tfds.list_builders(with_community_datasets=False)


def _digits_builder(data_dir: str | None) -> Any:
    from zoo.digits import Digits  # noqa: PLC0415 - its base class starts tfds

    return Digits(data_dir=data_dir)


def _pictures_builder(folder: Path, size: tuple[int, int], data_dir: str | None) -> Any:
    from zoo import pictures  # noqa: PLC0415 - its base class starts tfds

    return pictures.builder(folder, size, data_dir)


def _tfds_builder(name: str, data_dir: str | None) -> Any:
    """Return the builder of an image classification set, MNIST's at its pinned major version."""
    builder = tfds.builder("mnist:3.*.*" if name == "mnist" else name, data_dir=data_dir)
    features = builder.info.features
    wanted = {"image": tfds.features.Image, "label": tfds.features.ClassLabel}
    if not all(key in features and isinstance(features[key], wanted[key]) for key in wanted):
        raise InputError(f"{name} is no image classification set: it has no image and label")
    return builder


def _obstacle(builder: Any, manual: Path | None, offline: bool) -> str | None:
    """Return what keeps a set from being prepared, if anything does."""
    if builder.is_prepared():
        return None
    if manual is not None and builder.name == "mnist":
        _check_manual_dir(manual)
        return None
    if offline:
        return "--offline was given"
    url = next(iter(builder.url_infos or ()), None)
    return "its host does not answer" if url and not _answers(url) else None


def _prepare(builder: Any, announce: Announce, manual: Path | None) -> None:
    """Let tfds write the set, one process at a time: two at once make one of them crash."""
    root = Path(builder.data_dir_root)
    terminal = sys.stderr.isatty()
    if not terminal:
        tfds.disable_progress_bar()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f".{builder.name}.lock"):
            if not builder.is_prepared():
                announce(f"Preparing {builder.name} in {root} (once)")
                config = tfds.download.DownloadConfig(manual_dir=manual)
                # tfds tells of its work on standard output, where ours is expected alone.
                with contextlib.redirect_stdout(sys.stderr if terminal else None):
                    builder.download_and_prepare(download_config=config)
    except InputError:
        raise
    except OSError as error:
        if error.errno is None:  # not of this machine: what a broken connection raises
            raise InputError(f"the download of {builder.name} failed: {error}") from error
        raise InputError(
            f"cannot prepare {builder.name} in {root}: {error.strerror}; "
            "give a folder that can be written with --data-dir or TFDS_DATA_DIR"
        ) from error
    except tfds.download.DownloadError as error:
        raise InputError(f"the download of {builder.name} failed: {error}") from error
    except Exception as error:
        # tfds keeps this class private.
        if type(error).__name__ != "NonMatchingChecksumError":
            raise
        raise InputError(
            f"a file of {builder.name} in {manual or 'the download'} is not the "
            "original: its SHA-256 is not the one tfds registers"
        ) from error


def _read(
    builder: Any, name: str, image_size: tuple[int, int] | None, announce: Announce
) -> Dataset:
    """Return the splits of a prepared set."""
    splits = {
        split: decoded.read(builder, split, image_size, announce)
        for split in {"train", "validation", "test"} & builder.info.splits.keys()
    }
    return Dataset(
        name=name,
        version=str(builder.version),
        class_names=tuple(builder.info.features["label"].names),
        licence=_LICENCES.get(builder.name, "see its homepage"),
        homepage=builder.info.homepage,
        **_completed(splits),
    )


def _completed(splits: dict[str, Split]) -> dict[str, Split]:
    """Return all three splits, taking from ``train`` those that a set does not have."""
    whole = splits["train"]
    if "test" not in splits:
        parts = split_of(whole.labels)
        names = ("train", "validation", "test")
        return {name: _part(name, whole, np.flatnonzero(parts == name)) for name in names}
    if "validation" not in splits:
        held = min(_VALIDATION_IMAGES, len(whole) // 10)
        at = {"validation": slice(held), "train": slice(held, None)}
        return splits | {name: _part(name, whole, chosen) for name, chosen in at.items()}
    return splits


def _part(name: str, whole: Split, chosen: slice | np.ndarray) -> Split:
    return Split(name, whole.images[chosen], whole.labels[chosen])


def _check_manual_dir(folder: Path) -> None:
    missing = [name for name in MNIST_FILES if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"the manual folder {folder} lacks {', '.join(missing)}; "
            f"it must hold {', '.join(MNIST_FILES)}"
        )


def _answers(url: str) -> bool:
    """Say whether the host of ``url`` answers within a few seconds, whatever it answers."""
    answers: list[bool] = []

    def probe() -> None:
        try:
            request = urllib.request.Request(url, method="HEAD")
            urllib.request.urlopen(request, timeout=_PROBE_SECONDS).close()
        except urllib.error.HTTPError:
            pass  # an answer, if not a page
        except OSError:
            return
        answers.append(True)

    # In a thread of its own: a name look-up heeds no timeout.
    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(_PROBE_SECONDS)
    return bool(answers)
