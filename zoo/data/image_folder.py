"""Load a folder of pictures as a dataset, with a subfolder for each class.

    pets/cat/1.jpg, pets/dog/7.png ...          split automatically
    pets/train/cat/1.jpg, pets/test/dog/7.png   split by the user; val/ and test/ are optional

``survey`` lists and hashes the files; ``read`` decodes each picture once, as
``zoo.data.preprocessing`` defines.
"""

from __future__ import annotations

import collections
import functools
import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from etils import epy

from zoo.data import array_cache, paging, preprocessing, splits
from zoo.data.preprocessing import SUFFIXES, Preprocessing, shown
from zoo.data.splits import Split
from zoo.errors import InputError
from zoo.util.environment import cores
from zoo.util.tracking import track

with epy.lazy_imports():
    from PIL import Image

SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val"),
    "test": ("test", "testing"),
}
"""Accepted names for the folder of each split, case-insensitive."""

_LEAST_TO_SPLIT = 10  # pictures of a class, so that each of the three splits gets one
_NAMED = 10  # unreadable pictures listed in an error
_TABLE_CLASSES = 20  # classes listed in the table
_AT_ONCE = 1_024  # pictures submitted to the threads at once

# Folders created by archive programs and operating systems, which are never classes.
_SYSTEM_FOLDERS = ("__MACOSX", "@eaDir", "lost+found")

_GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N")

_Item = TypeVar("_Item")
_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Picture:
    """A picture file: its path, class label, and the SHA-256 of its content."""

    path: Path
    label: int
    digest: bytes


@dataclass(frozen=True)
class Survey:
    """The classes and pictures of a folder.

    Attributes:
        folder: path of the folder.
        class_names: names of the classes, sorted.
        pictures: pictures of each of the three splits, in stored order.
        taken: splits that the folder lacks and that were taken from its training pictures.
        skipped: number of skipped files by kind: ``.txt files``, ``hidden files`` ...
    """

    folder: Path
    class_names: tuple[str, ...]
    pictures: dict[str, list[Picture]]
    taken: tuple[str, ...]
    skipped: dict[str, int]

    def fingerprint(self) -> str:
        """Return a hash that changes with the content, class or split of any picture."""
        digest = hashlib.sha256(repr(self.class_names).encode())
        for split, pictures in self.pictures.items():
            digest.update(f"{split} {len(pictures)}".encode())
            for each in pictures:
                digest.update(each.label.to_bytes(4, "big") + each.digest)
        return digest.hexdigest()[:32]


def survey(folder: Path, *, trainable: bool = True) -> Survey:
    """Return the classes and pictures of a folder.

    Args:
        folder: path of the folder.
        trainable: whether training pictures are required, and missing splits are taken from them;
            otherwise all pictures of a folder without split folders are test pictures.

    Raises:
        InputError: the folder has no training pictures, a single class, a class without pictures or
            with too few, a class that the training pictures lack, or a class whose name cannot be
            written to a labels file.
    """
    skipped: collections.Counter[str] = collections.Counter()
    roots = _roots(folder, "train" if trainable else "test", skipped)
    if trainable and "train" not in roots:
        raise InputError(
            f"{shown(folder)} has {' and '.join(shown(path.name) for path in roots.values())} "
            "but no train folder"
        )
    first = roots.get("train") or next(iter(roots.values()))
    class_names = tuple(path.name for path in _class_folders(first, skipped))
    _check_class_names(first, class_names)
    for root in roots.values():
        if root != first:
            _check_classes(root, class_names, first, skipped)
    least = _LEAST_TO_SPLIT if trainable and len(roots) < len(SPLIT_FOLDERS) else 1
    files = {
        split: list(_files(root, class_names, least if split == "train" else 1, skipped))
        for split, root in roots.items()
    }
    found = {
        split: _ordered(list(_in_parallel(_hashed, files[split], "Reading pictures")), folder)
        for split in splits.NAMES
        if split in files
    }
    taken = tuple(name for name in splits.NAMES if trainable and name not in found)
    if taken:
        train = found["train"]
        parts = splits.assign_splits(np.array([each.label for each in train]), list(found))
        for name in ("train", *taken):
            found[name] = [each for each, part in zip(train, parts, strict=True) if part == name]
    pictures = {name: found.get(name, []) for name in splits.NAMES}
    return Survey(folder, class_names, pictures, taken, dict(skipped))


def channels_of(found: Survey) -> int:
    """Return 1 if the file headers of all pictures declare grey pixels, otherwise 3."""
    every = [each for pictures in found.pictures.values() for each in pictures]
    return 1 if all(_in_parallel(_is_grey, every, "Checking pictures")) else 3


def read(
    found: Survey, wanted: Preprocessing, data_dir: Path, announce: array_cache.Announce
) -> dict[str, Split]:
    """Return the three splits of a folder, from the cache or decoded.

    Args:
        found: the classes and pictures of the folder.
        wanted: how each picture becomes an image.
        data_dir: where decoded images are cached.
        announce: called with a line if cached images are damaged or cannot be written.

    Raises:
        InputError: pictures cannot be read; the message names the first ten.
        ZooError: the disk is full.
    """
    how = (wanted, preprocessing.version())
    choices = hashlib.sha256(repr(how).encode()).hexdigest()[:8]
    kept = data_dir / "pictures" / f"{found.fingerprint()}-{choices}"

    read: dict[str, Split] = {}
    faults: list[str] = []
    for name, pictures in found.pictures.items():
        shape = (len(pictures), *wanted.shape)
        if not pictures:
            read[name] = Split(name, np.empty(shape, np.uint8), np.empty(0, np.int64))
            continue
        fill = functools.partial(_decode_all, name, pictures, wanted)
        try:
            read[name] = array_cache.cached(kept, name, shape, fill, announce)
        except _UnreadableError as error:
            faults += error.faults
    if faults:
        faults.sort()
        raise InputError(
            f"{len(faults):,} of the pictures cannot be used: {'; '.join(faults[:_NAMED])}"
            + (f"; and {len(faults) - _NAMED:,} more" if len(faults) > _NAMED else "")
        )
    return read


def report(found: Survey) -> list[str]:
    """Return the lines of a table of pictures by class and split, with notes and warnings."""
    counts = np.array(
        [
            np.bincount([each.label for each in pictures], minlength=len(found.class_names))
            for pictures in found.pictures.values()
        ]
    ).T
    names = [shown(name) for name in found.class_names]
    rows = [(name, *row) for name, row in zip(names, counts.tolist(), strict=True)]
    if more := rows[_TABLE_CLASSES:]:
        rest = counts[_TABLE_CLASSES:].sum(axis=0).tolist()
        rows = [*rows[:_TABLE_CLASSES], (f"{len(more)} more classes", *rest)]
    rows.append(("all", *counts.sum(axis=0).tolist()))
    width = max(len("pictures"), *(len(row[0]) for row in rows))
    lines = [f"{'pictures':<{width}}" + "".join(f"{name:>12}" for name in found.pictures)]
    lines += [f"{row[0]:<{width}}" + "".join(f"{n:>12,}" for n in row[1:]) for row in rows]
    if found.taken:
        lines.append(
            f"The folder has no {' and no '.join(found.taken)} pictures: a fixed share of each "
            "class is taken from train."
        )
    largest = int(counts[:, 0].argmax())
    share = counts[largest, 2] / counts[:, 2].sum()
    lines.append(
        f"Largest class of train: {names[largest]}; a classifier that always predicts it would "
        f"reach {100 * share:.1f} % on test."
    )
    return lines + not_read(found) + _copies(found)


def not_read(found: Survey) -> list[str]:
    """Return a line about the files that are not read, if there are any."""
    skipped = ", ".join(f"{count:,} {what}" for what, count in sorted(found.skipped.items()))
    return [f"Not read: {skipped}."] if skipped else []


def _copies(found: Survey) -> list[str]:
    """Return a warning for each pair of splits that share pictures."""
    lines = []
    first_of = {
        name: {each.digest: each.path for each in reversed(pictures)}
        for name, pictures in found.pictures.items()
    }
    for name, other in itertools.combinations(splits.NAMES, 2):
        shared = [each for each in found.pictures[other] if each.digest in first_of[name]]
        if shared:
            one = shared[0].path.relative_to(found.folder)
            same = first_of[name][shared[0].digest].relative_to(found.folder)
            lines.append(
                f"WARNING: {len(shared):,} of the {len(found.pictures[other]):,} {other} pictures "
                f"are also in {name}, such as {shown(one)} = {shown(same)}: the {other} accuracy "
                "will be too high."
            )
    return lines


def _roots(folder: Path, whole: str, skipped: collections.Counter[str]) -> dict[str, Path]:
    """Return the folder of each split; if there is none, the folder itself is split ``whole``."""
    roots: dict[str, Path] = {}
    others = []
    hidden: collections.Counter[str] = collections.Counter()
    for path in _subfolders(folder, hidden):
        split = next(
            (key for key, names in SPLIT_FOLDERS.items() if path.name.lower() in names), ""
        )
        # A class may be named "train": its folder contains pictures, not classes.
        if not split or not any(each.is_dir() for each in path.iterdir()):
            others.append(path)
        elif split in roots:
            raise InputError(
                f"{shown(folder)} has two folders of {split} pictures, "
                f"{shown(roots[split].name)} and {shown(path.name)}; merge or rename one"
            )
        else:
            roots[split] = path
    if not roots:
        return {whole: folder}
    skipped.update(hidden)
    skipped.update(f"folders named {shown(path.name)}" for path in others)
    return roots


def _subfolders(root: Path, skipped: collections.Counter[str]) -> list[Path]:
    found = sorted(path for path in root.iterdir() if path.is_dir())
    kept = [path for path in found if not _is_hidden(path) and path.name not in _SYSTEM_FOLDERS]
    if len(found) > len(kept):
        skipped["hidden folders"] += len(found) - len(kept)
    return kept


def _class_folders(root: Path, skipped: collections.Counter[str]) -> list[Path]:
    folders = _subfolders(root, skipped)
    if loose := [each for each in root.iterdir() if each.is_file() and _is_picture(each)]:
        skipped["pictures outside a class folder"] += len(loose)
    if len(folders) < 2:
        raise InputError(
            f"{shown(root)} must contain a subfolder for each of at least two classes, "
            f"found {len(folders)}"
        )
    return folders


def _check_class_names(root: Path, names: Iterable[str]) -> None:
    for name in names:
        if any("\ud800" <= letter <= "\udfff" for letter in name):
            raise InputError(
                f"the class folder {shown(root / name)} has a name that is not UTF-8; rename it"
            )
        if name.splitlines() != [name]:
            raise InputError(
                f"the class folder {str(root / name)!r} has a line break in its name; rename it"
            )


def _check_classes(
    root: Path, class_names: Sequence[str], first: Path, skipped: collections.Counter[str]
) -> None:
    strange = {path.name for path in _subfolders(root, skipped)} - set(class_names)
    if strange:
        raise InputError(
            f"{shown(root / min(strange))} is a class that is missing in {shown(first)}; "
            "all splits must have the same classes"
        )


def _files(
    root: Path, class_names: Sequence[str], least: int, skipped: collections.Counter[str]
) -> Iterator[tuple[Path, int]]:
    for label, name in enumerate(class_names):
        found = []
        for path in sorted((root / name).iterdir()) if (root / name).is_dir() else []:
            if reason := _reason_to_skip(path):
                skipped[reason] += 1
            else:
                found.append(path)
        if len(found) < least:
            why = "" if least == 1 else ", so that each split gets one"
            raise InputError(
                f"{shown(root / name)} contains {len(found)} pictures ({', '.join(SUFFIXES)}), "
                f"but needs at least {least}{why}"
            )
        yield from ((path, label) for path in found)


def _reason_to_skip(path: Path) -> str:
    if _is_hidden(path):
        return "hidden files"
    if path.is_dir():
        return "nested folders"
    if not path.is_file():
        return "special files"
    if not _is_picture(path):
        return f"{shown(path.suffix)} files" if path.suffix else "files without an extension"
    return ""


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".")


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not _is_hidden(path)


def _hashed(file: tuple[Path, int]) -> Picture:
    path, label = file
    return Picture(path, label, hashlib.sha256(preprocessing.read_content(path)).digest())


def _ordered(pictures: list[Picture], folder: Path) -> list[Picture]:
    """Return pictures in a fixed mixed order: a recipe may train on the stored order or a slice."""

    def place(each: Picture) -> bytes:
        return hashlib.sha256(os.fsencode(each.path.relative_to(folder))).digest()

    return sorted(pictures, key=place)


def _is_grey(picture: Picture) -> bool:
    try:
        with Image.open(picture.path, formats=preprocessing.DECODERS) as file:
            return file.mode in _GREY_MODES
    except Exception:  # decoding reports every unreadable picture later
        return True


class _UnreadableError(Exception):
    """Raised if pictures of a split cannot be used; ``faults`` has a phrase for each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__()
        self.faults = faults


def _decode_all(
    name: str, pictures: Sequence[Picture], wanted: Preprocessing, images: np.ndarray
) -> np.ndarray:
    """Decode all pictures of a split into ``images``; return their labels.

    Raises:
        _UnreadableError: some pictures cannot be used.
    """

    def decode(numbered: tuple[int, Picture]) -> str:
        number, picture = numbered
        try:
            pixels = preprocessing.read_picture(picture.path)
        except InputError as error:
            return str(error)
        try:
            images[number] = preprocessing.prepare(pixels, wanted).image
        except InputError as error:
            return f"{shown(picture.path)} {error}"
        return ""

    numbered = list(enumerate(pictures))
    faults = []
    for number, fault in enumerate(_in_parallel(decode, numbered, f"Decoding {name}")):
        if fault:
            faults.append(fault)
        if number % paging.in_block(images) == 0:
            paging.release(images)
    if faults:
        raise _UnreadableError(faults)
    return np.array([each.label for each in pictures], np.int64)


def _in_parallel(
    function: Callable[[_Item], _Found], items: Sequence[_Item], description: str
) -> Iterator[_Found]:
    """Yield the function's result for each item, in order, with a progress bar on a terminal."""
    blocks = (items[at : at + _AT_ONCE] for at in range(0, len(items), _AT_ONCE))
    # Decoders release the interpreter lock, so threads can use all cores.
    with ThreadPoolExecutor(cores()) as pool:
        found = itertools.chain.from_iterable(pool.map(function, block) for block in blocks)
        yield from track(found, description, len(items))
