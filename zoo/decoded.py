"""A prepared set's splits as plain arrays: decoded once, kept beside tfds' files, memory-mapped.

tfds decodes every picture anew at each start; an array on disk costs a start nothing, and the
memory of a training does not grow with its data.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from etils import epy

from zoo import files
from zoo.errors import InputError
from zoo.pixels import resized
from zoo.splits import Split

with epy.lazy_imports():
    import rich.console
    import rich.progress
    import tensorflow_datasets as tfds

_IMAGES_AT_ONCE = 1_000


def read(
    builder: Any, split: str, size: tuple[int, int] | None, announce: Callable[[str], None]
) -> Split:
    """Return one split of a prepared set.

    Args:
        builder: the set's tfds builder.
        split: ``train``, ``validation`` or ``test``, as the set has it.
        size: height and width to resize to; None for the set's own, which must be one size.
        announce: called with a line if the arrays cannot be kept.

    Raises:
        InputError: the images differ in size and none is given.
    """
    height, width, channels = builder.info.features["image"].shape
    shape = (*(size or (height, width)), channels)
    if None in shape:
        raise InputError(f"the images of {builder.name} differ in size; give one with --image-size")
    folder = Path(builder.data_dir) / "decoded" / f"{shape[0]}x{shape[1]}"
    images, labels = folder / f"{split}.images.npy", folder / f"{split}.labels.npy"
    whole = (builder.info.splits[split].num_examples, *shape)
    if not (images.exists() and labels.exists()):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with files.staged(labels) as kept_labels, files.staged(images) as kept_images:
                kept = np.lib.format.open_memmap(kept_images, "w+", np.uint8, whole)
                with kept_labels.open("wb") as file:
                    np.save(file, _decode(builder, split, kept))
                kept.flush()
        except OSError as error:
            announce(f"{folder} cannot be written ({error.strerror}): decoding at each start")
            in_memory = np.empty(whole, np.uint8)
            return Split(split, in_memory, _decode(builder, split, in_memory))
    return Split(split, np.load(images, mmap_mode="r"), np.load(labels))


def _decode(builder: Any, split: str, images: np.ndarray) -> np.ndarray:
    """Decode every image of a split, in stored order, into ``images``; return the labels."""
    # Several files would be mixed otherwise.
    config = tfds.ReadConfig(interleave_cycle_length=1)
    data = builder.as_dataset(
        split=split, as_supervised=True, shuffle_files=False, read_config=config
    )
    if builder.info.features["image"].shape[:2] != images.shape[1:3]:
        data = data.map(lambda image, label: (resized(image, images.shape[1:3]), label))
    labels = np.empty(len(images), np.int64)
    console = rich.console.Console(stderr=True)
    starts = rich.progress.track(
        range(0, len(images), _IMAGES_AT_ONCE),
        f"Decoding {split}",
        console=console,
        disable=not console.is_terminal,
    )
    for at, (pixels, some) in zip(starts, tfds.as_numpy(data.batch(_IMAGES_AT_ONCE)), strict=True):
        images[at : at + len(some)], labels[at : at + len(some)] = pixels, some
    return labels
