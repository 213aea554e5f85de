"""Memory-mapped images leave the process again after they were read or written."""

import re
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tools import gratings
from zoo.data import Dataset, tfds_sets
from zoo.data import load as load_data
from zoo.data.batches import training_batches
from zoo.data.splits import Split
from zoo.metrics import predict_in_batches

SHAPE = (6_000, 256, 256, 1)  # 393 MB, which a file system with holes does not store
MOST = 256  # MiB

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="only Linux says how much is resident"
)


@pytest.fixture
def split(tmp_path: Path) -> Split:
    labels = np.arange(SHAPE[0]) * 10 // SHAPE[0]  # sorted, so its parts are not ranges
    images = np.lib.format.open_memmap(tmp_path / "images.npy", "w+", np.uint8, SHAPE)
    images[::600, 0, 0, 0] = 1 + np.arange(10)
    return Split("train", np.load(tmp_path / "images.npy", mmap_mode="r"), labels)


def test_hashing(split: Split) -> None:
    assert grown(lambda: split.fingerprint) < MOST


def test_training(split: Split) -> None:
    def train(steps: int) -> None:
        batches = training_batches(split, batch_size=100, steps=steps, seed=0, shuffle=True)
        assert sum(len(images) for images, _ in batches) == 100 * steps

    train(1)  # what TensorFlow allocates once is not counted
    assert grown(lambda: train(60)) < MOST


def test_evaluation(split: Split) -> None:
    def sums(images: np.ndarray) -> np.ndarray:
        return images.sum(axis=(1, 2))

    found: list[np.ndarray] = []
    assert grown(lambda: found.append(predict_in_batches(sums, split.images))) < MOST
    assert found[0].sum() == 55


def test_taking_missing_splits_from_train(split: Split, tmp_path: Path) -> None:
    found: dict[str, Split] = {}

    def complete() -> None:
        found.update(tfds_sets.completed({"train": split}, tmp_path / "kept", lines.append))

    lines: list[str] = []
    assert grown(complete) < MOST
    assert lines == []
    assert [len(each) for each in found.values()] == [4_200, 600, 1_200]
    assert all(isinstance(each.images, np.memmap) for each in found.values())
    assert sum(int(each.images[:, 0, 0, 0].sum()) for each in found.values()) == 55
    assert all(np.bincount(each.labels).min() == len(each) / 10 for each in found.values())
    # Parts of other images or labels are others.
    other = Split("train", split.images, split.labels[::-1].copy())
    parts = tfds_sets.completed({"train": other}, tmp_path / "kept", lines.append)
    assert [part.labels[0] for part in parts.values()] == [9, 9, 9]


def test_decoding(tmp_path: Path) -> None:
    load_data("digits", data_dir=str(tmp_path))  # what TensorFlow allocates once is not counted
    name = f"{gratings.Gratings.name}/thousands"
    found: list[Dataset] = []

    def load() -> None:
        found.append(load_data(name, data_dir=str(tmp_path), report=False))

    assert grown(load) < MOST
    whole = [getattr(found[0], name) for name in ("train", "validation", "test")]
    assert sorted(map(len, whole)) == [600, 1_200, 4_200]
    assert {each.images[0].mean() > 100 for each in whole} == {True}


def test_changes_of_a_copy_are_kept(split: Split, tmp_path: Path) -> None:
    images = np.load(tmp_path / "images.npy", mmap_mode="c")
    images[:] = 7
    assert predict_in_batches(lambda some: some.max(axis=(1, 2)), images).min() == 7
    assert images[-1].min() == 7


def grown(action: Callable[[], object]) -> float:
    """Return by how many MiB of mapped files this process becomes larger during an action."""
    before, sizes, ended = mapped(), [0.0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.002):
            sizes.append(mapped())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        action()
    finally:
        ended.set()
        thread.join()
    assert len(sizes) > 10
    return max(sizes) - before


def mapped() -> float:
    status = Path("/proc/self/status").read_text()
    return sum(int(kib) for kib in re.findall(r"Rss(?:File|Shmem):\s+(\d+)", status)) / 1024
