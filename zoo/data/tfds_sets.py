"""Find, prepare and read image classification datasets of tensorflow-datasets (tfds)."""

from __future__ import annotations

import contextlib
import re
import shutil
import string
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from etils import epy
from filelock import FileLock, Timeout

from zoo.data import array_cache, paging, preprocessing, splits
from zoo.data.array_cache import Announce
from zoo.data.preprocessing import Preprocessing
from zoo.data.splits import Split
from zoo.errors import InputError, ZooError, first_line, unknown
from zoo.util import atomic
from zoo.util.tracking import track

with epy.lazy_imports():
    import tensorflow as tf
    import tensorflow_datasets as tfds

MNIST_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)

# As in the post, the first training images are held out if there is no validation split, but at
# most a tenth of them.
_VALIDATION_IMAGES = 5_000

# tfds stores the images of EMNIST transposed, and numbers its classes. The configuration "letters"
# begins with class 1; "balanced" and "bymerge" have no lower case for letters that look alike.
_TRANSPOSED = "emnist"
_CHARACTERS = string.digits + string.ascii_uppercase
_EMNIST_NAMES = {
    "balanced": _CHARACTERS + "abdefghnqrt",
    "bymerge": _CHARACTERS + "abdefghnqrt",
    "byclass": _CHARACTERS + string.ascii_lowercase,
    "letters": "0" + string.ascii_uppercase,
}

_PROBE_SECONDS = 3.0
_ABANDONED_SECONDS = 3600

_IMAGES_AT_ONCE = 1_000


def names() -> list[str]:
    """Return the names of the datasets registered in tensorflow-datasets."""
    return tfds.list_builders(with_community_datasets=False)


def set_name(name: str) -> str:
    """Return ``dataset`` of ``dataset/config:version``."""
    return re.split("[/:]", name, maxsplit=1)[0]


def find(name: str, data_dir: str | None) -> Any:
    """Return the tfds builder of an image classification dataset.

    Args:
        name: ``dataset`` or ``dataset/config``, optionally with ``:version``; the major version of
            MNIST is pinned.
        data_dir: where tfds stores prepared datasets.

    Raises:
        InputError: the configuration or version is unknown, or the dataset has no image and label.
    """
    if name != set_name(name) and set_name(name) in ("auto", "digits"):
        raise InputError(f"{name} is not a dataset; a folder of this name is ./{name}")
    # Defining the class registers it in tfds.
    if name == "digits":
        from zoo.data.digits import Digits  # noqa: PLC0415 - its base class starts tfds

        return Digits(data_dir=data_dir)
    try:
        builder = tfds.builder("mnist:3.*.*" if name == "mnist" else name, data_dir=data_dir)
    except (AssertionError, ValueError, tfds.core.DatasetNotFoundError) as error:
        raise _unknown_variant(name) from error
    features = builder.info.features
    wanted = {"image": tfds.features.Image, "label": tfds.features.ClassLabel}
    if not all(key in features and isinstance(features[key], wanted[key]) for key in wanted):
        raise InputError(f"{name} is not an image classification dataset: it needs image and label")
    return builder


def class_names(builder: Any) -> tuple[str, ...]:
    """Return the names of the classes in label order; those of EMNIST are characters."""
    own = builder.info.features["label"].names
    known = _EMNIST_NAMES.get(builder.builder_config.name, "") if _is_transposed(builder) else ""
    return (*known[: len(own)], *own[len(known) :])


def _is_transposed(builder: Any) -> bool:
    return builder.name == _TRANSPOSED


def full_name(builder: Any) -> str:
    """Return the name of a dataset, with its configuration if it has several."""
    return builder.name + (f"/{builder.builder_config.name}" if builder.builder_config else "")


def obstacle(builder: Any, manual: Path | None, offline: bool) -> str | None:
    """Return the reason why a dataset cannot be prepared, or None if it can.

    Raises:
        InputError: files of MNIST are missing in the manual folder.
    """
    if builder.is_prepared() or builder.name == "digits":  # digits are part of this package
        return None
    instructions = " ".join((builder.MANUAL_DOWNLOAD_INSTRUCTIONS or "").split())
    if instructions and manual is None:
        return (
            "its files must be downloaded manually into a folder given with --manual-dir; "
            f"instructions of tensorflow-datasets: {instructions}"
        )
    urls = list(builder.url_infos or ())
    if manual is not None:
        needed = [PurePosixPath(url).name for url in urls]
        if builder.name == "mnist":
            _check_holds(manual, MNIST_FILES)
        if builder.name == "mnist" or instructions or _holds(manual, needed):
            return None
    if offline:
        return "--offline was given"
    return "its host does not respond" if urls and not _answers(urls[0]) else None


def prepare(name: str, builder: Any, announce: Announce, manual: Path | None) -> Any:
    """Prepare a dataset with tfds, and return a new builder that has its splits.

    A lock allows one process at a time, because concurrent preparations fail in all but one.

    Raises:
        InputError: the dataset cannot be downloaded or written, or the folder's name is not UTF-8.
        ZooError: the disk is full.
    """
    root = Path(builder.data_dir_root)
    try:
        str(root).encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"cannot prepare {name} in {preprocessing.shown(root)}: the name of the folder is not "
            "UTF-8; give another with --data-dir or TFDS_DATA_DIR"
        ) from error
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _locked(root / f".{builder.name}.lock", name, announce):
            # Another process may have prepared it since; a builder reads its splits only once.
            builder = find(name, str(root))
            if not builder.is_prepared():
                _remove_abandoned(Path(builder.data_dir).parent)
                announce(f"Preparing {full_name(builder)} in {root} (once)")
                with atomic.writing(root):
                    _download_and_prepare(builder, manual)
    except OSError as error:
        if error.errno in atomic.FULL:
            raise ZooError(
                f"cannot prepare {name} in {root}: {error.strerror}; "
                "give another folder with --data-dir or TFDS_DATA_DIR"
            ) from error
        if error.errno is None:  # raised by a broken connection, not by the file system
            raise InputError(f"the download of {name} failed: {error}") from error
        raise InputError(
            f"cannot prepare {name} in {root}: {error.strerror}; "
            "give a writable folder with --data-dir or TFDS_DATA_DIR"
        ) from error
    except (AssertionError, tfds.download.DownloadError) as error:
        raise InputError(f"the download of {name} failed: {first_line(error)}") from error
    except Exception as error:
        # The class is private in tfds.
        if type(error).__name__ != "NonMatchingChecksumError":
            raise
        raise InputError(
            f"a file of {name} in {manual or 'the download'} is not the "
            "original: its SHA-256 is not the one registered in tfds"
        ) from error
    return find(name, str(root))


def read(
    builder: Any,
    size: tuple[int, int] | None,
    channels: int | None,
    *,
    fit: str,
    background: str,
    announce: Announce,
) -> tuple[dict[str, Split], Path]:
    """Return the train, validation and test splits that a prepared dataset has, and their cache.

    Args:
        builder: builder of the dataset.
        size: height and width of the images; None for their own, which must be the same for all.
        channels: channels of the images; None for their own.
        fit: as in ``Preprocessing``, for images of another size.
        background: what transparent pixels are filled with, as in ``Preprocessing``.
        announce: called with a line about splits that are not used.

    Raises:
        InputError: the images differ in size and none is given, or their channels cannot be
            converted to the given number.
        ZooError: the disk is full.
    """
    *own, own_channels = builder.info.features["image"].shape
    if size is None and None in own:
        raise InputError(
            f"the images of {full_name(builder)} differ in size; give one with --image-size"
        )
    height, width = size or own
    wanted = Preprocessing(
        height=height,
        width=width,
        channels=channels or own_channels,
        fit=fit,
        background=background,
    )
    kept = f"{height}x{width}" + ("" if wanted.size == tuple(own) else f"-{fit}")
    kept += "" if wanted.channels == own_channels else f"-{wanted.channels}"
    kept += f"-{background}" if own_channels == 4 and background != "white" else ""
    if (*wanted.size, wanted.channels) != (*own, own_channels):
        kept += f"-{preprocessing.version()}"
    kept += "-upright" if _is_transposed(builder) else ""
    folder = Path(builder.data_dir) / "decoded" / kept
    found = {}
    for name in splits.NAMES:
        if name not in builder.info.splits:
            continue
        count = builder.info.splits[name].num_examples

        def fill(images: np.ndarray, name: str = name) -> np.ndarray:
            return _decode(builder, name, wanted, images)

        split = array_cache.cached(folder, name, (count, *wanted.shape), fill, announce)
        if split.labels.min() < 0:
            announce(f"The {name} split of {full_name(builder)} has no labels: it is not used.")
        else:
            found[name] = split
    if others := sorted(builder.info.splits.keys() - set(splits.NAMES)):
        announce(f"Not used of {full_name(builder)}: the splits {', '.join(others)}.")
    return found, folder


def completed(found: dict[str, Split], folder: Path, announce: Announce) -> dict[str, Split]:
    """Return all three splits, taking missing ones from ``train``.

    If only the validation split is missing, the first training images are held out, as in the post,
    provided that they cover all classes; otherwise a fixed share of each class.

    Args:
        found: the splits that a dataset has.
        folder: where the splits are cached.
        announce: called with a line if they cannot be.

    Raises:
        ZooError: the disk is full.
    """
    whole, present = found["train"], list(found)
    taken = [name for name in splits.NAMES if name not in found]
    held = min(_VALIDATION_IMAGES, len(whole) // 10)
    first = whole.labels[:held]
    if not taken:
        return found
    if taken == ["validation"] and len(np.unique(first)) == len(np.unique(whole.labels)):
        ranges = {"validation": slice(held), "train": slice(held, None)}
        return found | {name: whole.part(name, ranges[name]) for name in ranges}
    parts = splits.assign_splits(whole.labels, present)
    return found | {
        name: array_cache.selected(folder, name, whole, np.flatnonzero(parts == name), announce)
        for name in ("train", *taken)
    }


def with_polarity(
    found: dict[str, Split], folder: Path, polarity: str, announce: Announce
) -> dict[str, Split]:
    """Return the splits with each image inverted whose background does not match.

    Args:
        found: the splits of a dataset.
        folder: where the new splits are cached.
        polarity: one of ``preprocessing.POLARITIES``.
        announce: called with a line if they cannot be.

    Raises:
        ZooError: the disk is full.
    """

    def converted(split: Split) -> Split:
        def fill(images: np.ndarray) -> np.ndarray:
            for block in paging.blocks(images):
                images[block] = preprocessing.with_polarity(split.images[block], polarity)
                paging.release(split.images)
            return split.labels

        kept = folder / f"{polarity}-{preprocessing.version()}-{split.fingerprint[:16]}"
        return array_cache.cached(kept, split.name, split.images.shape, fill, announce)

    return {name: converted(split) if len(split) else split for name, split in found.items()}


def _unknown_variant(name: str) -> InputError:
    """Return the error for an unknown configuration or version of a dataset."""
    builder = tfds.builder_cls(set_name(name))
    if Path(name).is_dir():
        return InputError(f"{name} is not a dataset; for the folder, give ./{name}")
    wanted, _, version = name.partition(":")
    config = wanted.partition("/")[2]
    if config and config not in builder.builder_configs:
        return unknown(
            f"configuration of {builder.name}", config, builder.builder_configs or ["none"]
        )
    versions = [str(each) for each in (builder.VERSION, *builder.SUPPORTED_VERSIONS)]
    return unknown(f"version of {wanted}", version, versions)


@contextlib.contextmanager
def _locked(path: Path, name: str, announce: Announce) -> Any:
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        announce(f"Waiting for another process that prepares {name}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _remove_abandoned(folder: Path) -> None:
    """Remove what killed preparations left; other programs that use tfds do not take our lock."""
    for incomplete in folder.glob("incomplete.*"):
        newest = max(path.stat().st_mtime for path in (incomplete, *incomplete.rglob("*")))
        if time.time() - newest > _ABANDONED_SECONDS:
            shutil.rmtree(incomplete, ignore_errors=True)


def _download_and_prepare(builder: Any, manual: Path | None) -> None:
    terminal = sys.stderr.isatty()
    if not terminal:
        tfds.disable_progress_bar()
    config = tfds.download.DownloadConfig(manual_dir=manual)
    # tfds prints its progress to standard output, which is reserved for results.
    with contextlib.redirect_stdout(sys.stderr if terminal else None):
        builder.download_and_prepare(download_config=config)


def _decode(builder: Any, name: str, wanted: Preprocessing, images: np.ndarray) -> np.ndarray:
    """Decode every image of a split, in stored order, into ``images``; return the labels."""
    # By default, tfds interleaves the images of several files.
    config = tfds.ReadConfig(interleave_cycle_length=1)
    data = builder.as_dataset(
        split=name, as_supervised=True, shuffle_files=False, read_config=config
    )
    if _is_transposed(builder):
        data = data.map(lambda image, label: (tf.transpose(image, (1, 0, 2)), label))
    labels = np.empty(len(images), np.int64)
    if builder.info.features["image"].shape[:2] == wanted.size:
        size = min(_IMAGES_AT_ONCE, paging.in_block(images))
        batches = tfds.as_numpy(data.batch(size))
        tracked = track(batches, f"Decoding {name}", len(images), each=size)
        for number, (pixels, some) in enumerate(tracked):
            at = slice(number * size, number * size + len(some))
            images[at], labels[at] = preprocessing.with_channels(pixels, wanted), some
            paging.release(images)
        return labels
    pictures = track(tfds.as_numpy(data), f"Decoding {name}", len(images))
    for number, (pixels, label) in enumerate(pictures):
        converted = preprocessing.with_channels(pixels, wanted)
        images[number], labels[number] = preprocessing.fit(converted, wanted)[0], label
        if number % paging.in_block(images) == 0:
            paging.release(images)
    return labels


def _holds(folder: Path, needed: list[str]) -> bool:
    return bool(needed) and all((folder / name).is_file() for name in needed)


def _check_holds(folder: Path, needed: tuple[str, ...]) -> None:
    if missing := [name for name in needed if not (folder / name).is_file()]:
        raise InputError(
            f"the manual folder {folder} lacks {', '.join(missing)}; "
            f"it must hold {', '.join(needed)}"
        )


def _answers(url: str) -> bool:
    """Return whether the host of ``url`` responds within a few seconds, with any status."""
    answers: list[bool] = []

    def probe() -> None:
        try:
            request = urllib.request.Request(url, method="HEAD")
            urllib.request.urlopen(request, timeout=_PROBE_SECONDS).close()
        except urllib.error.HTTPError:
            pass  # an error status is a response too
        except OSError:
            return
        answers.append(True)

    # In a separate thread, because DNS lookups ignore the timeout.
    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(_PROBE_SECONDS)
    return bool(answers)
