"""The one place that reads data: each set becomes three disjoint splits of uint8 images.

MNIST comes through tensorflow-datasets: prepared before, from a folder with the four original
files, or from the network. Where none of these is to be had, ``auto`` takes the embedded digits.
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

from zoo.errors import InputError, unknown

with epy.lazy_imports():
    import tensorflow_datasets as tfds

NAMES = ("auto", "digits", "mnist")

MNIST_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)

_LICENCES = {"digits": "CC BY 4.0", "mnist": "CC BY-SA 3.0"}

# As in the post: where a set has no validation split, the first training images are held out.
_VALIDATION_IMAGES = 5_000

_PROBE_SECONDS = 3.0

Announce = Callable[[str], None]


@dataclass(frozen=True)
class Split:
    """One part of a data set, in stored order.

    Attributes:
        name: ``train``, ``validation`` or ``test``.
        images: uint8 [N, height, width, channels].
        labels: int64 [N].
    """

    name: str
    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


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
        }


def check_name(name: str) -> None:
    """Refuse the name of no data set. Does not start TensorFlow.

    Raises:
        InputError: the message suggests the nearest name.
    """
    if name not in NAMES:
        raise unknown("data set", name, NAMES)


def load(
    name: str = "auto",
    *,
    data_dir: str | None = None,
    manual_dir: str | None = None,
    offline: bool = False,
    announce: Announce = lambda line: print(line, file=sys.stderr),
) -> Dataset:
    """Read a data set, preparing it first where that was not done before.

    Args:
        name: one of ``NAMES``; ``auto`` is ``mnist`` where it can be had and else ``digits``.
        data_dir: where tfds keeps prepared sets; by default ``TFDS_DATA_DIR`` or tfds' own.
        manual_dir: folder with the four original MNIST files; by default ``ZOO_MANUAL_DIR``.
        offline: never touch the network.
        announce: called with each line a person should know of.

    Raises:
        InputError: the set is unknown, cannot be had, or cannot be written where it should be.
    """
    check_name(name)
    manual = Path(given) if (given := manual_dir or os.environ.get("ZOO_MANUAL_DIR")) else None
    if name == "digits":
        return _load_digits(data_dir, announce)

    builder = tfds.builder("mnist:3.*.*", data_dir=data_dir)
    if builder.is_prepared():
        return _read(builder)
    if manual is not None:
        _check_manual_dir(manual)
    elif offline or not _answers(builder.URL):
        tried = "--offline was given" if offline else "its host does not answer"
        if name == "mnist":
            raise InputError(
                f"mnist is not prepared in {builder.data_dir_root} and {tried}; provide it by "
                "(1) a network connection, (2) --manual-dir or ZOO_MANUAL_DIR with the four "
                "original files, or (3) --data-dir or TFDS_DATA_DIR with a prepared mnist/3.*; "
                "--data digits needs none of these"
            )
        announce(
            "NOTICE: this is NOT MNIST. It is not prepared here, no manual folder was given and "
            f"{tried}: using the 1,797 embedded digits instead (--data digits)."
        )
        return _load_digits(data_dir, announce)
    _prepare(builder, announce, tfds.download.DownloadConfig(manual_dir=manual))
    return _read(builder)


def stratified(split: Split, count: int) -> np.ndarray:
    """Return the sorted positions of about ``count`` images, the first of each class in turn."""
    per_class = max(1, count // len(np.unique(split.labels)))
    chosen = [
        np.flatnonzero(split.labels == label)[:per_class] for label in np.unique(split.labels)
    ]
    return np.sort(np.concatenate(chosen))


def _load_digits(data_dir: str | None, announce: Announce) -> Dataset:
    from zoo.digits import Digits  # noqa: PLC0415 - its base class starts tfds

    builder = Digits(data_dir=data_dir)
    if not builder.is_prepared():
        _prepare(builder, announce, tfds.download.DownloadConfig())
    return _read(builder)


def _prepare(builder: Any, announce: Announce, config: Any) -> None:
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
                # tfds tells of its work on standard output, where ours is expected alone.
                with contextlib.redirect_stdout(sys.stderr if terminal else None):
                    builder.download_and_prepare(download_config=config)
    except OSError as error:
        raise InputError(
            f"cannot prepare {builder.name} in {root}: {error.strerror or error}; "
            "give a folder that can be written with --data-dir or TFDS_DATA_DIR"
        ) from error
    except tfds.download.DownloadError as error:
        raise InputError(f"the download of {builder.name} failed: {error}") from error
    except Exception as error:
        # tfds keeps this class private.
        if type(error).__name__ != "NonMatchingChecksumError":
            raise
        raise InputError(
            f"a file of {builder.name} in {config.manual_dir or 'the download'} is not the "
            "original: its SHA-256 is not the one tfds registers"
        ) from error


def _read(builder: Any) -> Dataset:
    """Decode every split of a prepared set into memory."""
    config = tfds.ReadConfig(interleave_cycle_length=1)  # several files would be mixed otherwise
    splits = {}
    for name in builder.info.splits:
        data = builder.as_dataset(
            split=name, batch_size=-1, as_supervised=True, shuffle_files=False, read_config=config
        )
        splits[name] = Split(name, *tfds.as_numpy(data))
    if "validation" not in splits:
        train, held = splits["train"], _VALIDATION_IMAGES
        splits["validation"] = Split("validation", train.images[:held], train.labels[:held])
        splits["train"] = Split("train", train.images[held:], train.labels[held:])
    return Dataset(
        name=builder.name,
        version=str(builder.version),
        class_names=tuple(builder.info.features["label"].names),
        licence=_LICENCES[builder.name],
        homepage=builder.info.homepage,
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
    )


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
