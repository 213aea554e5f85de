"""A person's own pictures as a tfds data set: a folder with a sub-folder for each class.

    pets/cat/1.jpg, pets/dog/7.png ...          split by the loader
    pets/train/cat/1.jpg, pets/test/dog/7.png   split by the person; validation/ may stand beside

They are decoded, made grey or colour, resized and written once for each size; a picture that was
added, removed or changed makes it another set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rich.console
import rich.progress
import tensorflow as tf
import tensorflow_datasets as tfds

from zoo.errors import InputError
from zoo.pixels import resized

_SPLITS = ("train", "validation", "test")
_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
_LEAST_PER_CLASS = 10  # so that each of the three splits gets one


@dataclass(frozen=True)
class Survey:
    """What a folder holds, by its names alone.

    Attributes:
        folder: the folder itself.
        class_names: its sub-folders' names, sorted.
        files: of each split, the pictures and their classes.
    """

    folder: Path
    class_names: tuple[str, ...]
    files: dict[str, list[tuple[Path, str]]]

    def fingerprint(self, size: tuple[int, int]) -> str:
        """Return a name that changes with any picture's name, length or time, and with ``size``."""
        digest = hashlib.sha256(repr(size).encode())
        for split, files in self.files.items():
            for path, _ in files:
                stat = path.stat()
                told = (split, path.relative_to(self.folder), stat.st_size, stat.st_mtime_ns)
                digest.update(repr(told).encode())
        return digest.hexdigest()[:16]


def survey(folder: Path) -> Survey:
    """Return what a folder holds.

    Raises:
        InputError: a single class, a class without pictures or with too few of them.
    """
    parts = {name: folder / name for name in _SPLITS if (folder / name).is_dir()}
    if parts and "train" not in parts:
        raise InputError(f"{folder} has {', '.join(parts)} but no train folder")
    roots = parts or {"train": folder}
    names = tuple(path.name for path in _subfolders(roots["train"]))
    if len(names) < 2:
        raise InputError(
            f"{roots['train']} must hold a sub-folder for each of at least two classes, "
            f"it holds {len(names)}"
        )
    least = 1 if "test" in parts else _LEAST_PER_CLASS
    files = {split: list(_pictures(root, names, least)) for split, root in roots.items()}
    return Survey(folder, names, files)


def _subfolders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and path.name[0] != ".")


def _pictures(root: Path, names: tuple[str, ...], least: int) -> Iterator[tuple[Path, str]]:
    strangers = {path.name for path in _subfolders(root)} - set(names)
    if strangers:
        raise InputError(f"{root / min(strangers)} is a class that the train folder lacks")
    for name in names:
        found = sorted(path for path in (root / name).glob("*") if path.suffix.lower() in _ENDINGS)
        if len(found) < least:
            raise InputError(
                f"{root / name} holds {len(found)} pictures ({', '.join(_ENDINGS)}), "
                f"it must hold at least {least}"
            )
        for path in found:
            yield path, name


def builder(folder: Path, size: tuple[int, int], data_dir: str | None) -> Any:
    """Return the tfds builder of a folder's pictures.

    Args:
        folder: as in the module's description.
        size: height and width that each picture is resized to.
        data_dir: where tfds keeps prepared sets.

    Raises:
        InputError: the folder is not as it must be, or a picture cannot be read; it is named.
    """
    found = survey(folder)
    name = found.fingerprint(size)
    root = Path(data_dir or tfds.core.constants.get_default_data_dir())
    prepared = root / "pictures" / name / str(Pictures.VERSION)
    if (prepared / "dataset_info.json").exists():
        return tfds.builder_from_directory(prepared)
    return Pictures(found, size, _channels(found), data_dir=data_dir, name=name)


def _channels(found: Survey) -> int:
    """Decode every picture; return 1 if all are grey, else 3."""
    paths = [path for files in found.files.values() for path, _ in files]
    console = rich.console.Console(stderr=True)
    shown = rich.progress.track(
        paths, "Checking pictures", console=console, disable=not console.is_terminal
    )
    return max(1 if _decode(path, 0).shape[-1] < 3 else 3 for path in shown)


def _decode(path: Path, channels: int) -> Any:
    try:
        return tf.io.decode_image(path.read_bytes(), channels, expand_animations=False)
    except (OSError, tf.errors.InvalidArgumentError) as error:
        raise InputError(f"{path} is not a picture that can be read") from error


class Pictures(tfds.core.GeneratorBasedBuilder):
    """The pictures of one folder at one size."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(
        self, found: Survey, size: tuple[int, int], channels: int, *, data_dir: Any, name: str
    ) -> None:
        self._found = found
        self._shape = (*size, channels)
        config = tfds.core.BuilderConfig(name=name, version=self.VERSION)
        super().__init__(data_dir=data_dir, config=config)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="A person's own pictures.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=self._shape),
                    "label": tfds.features.ClassLabel(names=self._found.class_names),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        return {split: self._generate_examples(split) for split in self._found.files}

    def _generate_examples(self, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        *size, channels = self._shape
        for path, label in self._found.files[split]:
            image = resized(_decode(path, channels), size).numpy()
            yield path.relative_to(self._found.folder).as_posix(), {"image": image, "label": label}
