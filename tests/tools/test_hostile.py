"""Open each hostile file of ``tools.faults.hostile`` as the commands open it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import PIL.Image
import pytest

import export
from export.network.keras_file import open_keras_file
from tools.faults.hostile import MARK, folders, networks, pictures
from zoo.data import Dataset, image_folder
from zoo.data.preprocessing import read_picture
from zoo.errors import DamagedError, InputError
from zoo.runs import Run, load_model
from zoo.training.averages import WeightAverage
from zoo.training.checkpoints import Checkpoints

MOST_BYTES = 1 << 30  # the files unpack to twice as much


@pytest.fixture(autouse=True)
def nothing_else_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Check that no file's code ran, and that no file took much memory."""
    cwd = tmp_path / "inner" / "cwd"
    cwd.mkdir(parents=True)
    monkeypatch.chdir(cwd)
    _peak_bytes()  # resets the peak to the current size
    before = _peak_bytes()
    yield
    assert not list(tmp_path.rglob(MARK))
    assert _peak_bytes() - before < MOST_BYTES


def _peak_bytes() -> int:
    """Return the peak memory of this process since the last call, in bytes; 0 if not on Linux."""
    if sys.platform != "linux":
        return 0
    status = Path("/proc/self/status").read_text()
    Path("/proc/self/clear_refs").write_text("5")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("kind", pictures.KINDS)
def test_a_picture(kind: str, tmp_path: Path) -> None:
    path = pictures.make(kind, tmp_path)
    _peak_bytes()
    with pytest.raises(InputError) as caught:
        read_picture(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kind", networks.KINDS)
def test_a_network(kind: str, tmp_path: Path) -> None:
    path = networks.make(kind, tmp_path)
    _peak_bytes()
    with pytest.raises(InputError, match=r"a\.(keras|h5) cannot be opened") as caught:
        open_keras_file(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", folders.RUNS)
def test_the_weights_of_a_run(kind: str, workplace: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(workplace / "runs" / "ltfn5", tmp_path / "ltfn5")
    folders.RUNS[kind](folder)
    _peak_bytes()
    with pytest.raises(InputError, match="does not contain the weights of ltfn5"):
        load_model(folder)


@pytest.mark.parametrize("kind", folders.UNFINISHED)
def test_a_checkpoint(kind: str, workplace: Path, tmp_path: Path) -> None:
    model = load_model(workplace / "runs" / "ltfn5")
    folder = shutil.copytree(workplace / "runs" / "ltfn5", tmp_path / "ltfn5")
    folders.UNFINISHED[kind](folder)
    _peak_bytes()
    with pytest.raises(InputError, match=r"all checkpoints in .* are damaged"):
        _checkpoints(Run(folder), model).restore()


def _checkpoints(run: Run, model: keras.Model) -> Checkpoints:
    optimizer = keras.optimizers.Adam()
    return Checkpoints(run, model, optimizer, WeightAverage(model, optimizer, decay=0.9))


@pytest.mark.parametrize("kind", folders.BUNDLES)
def test_a_bundle(kind: str, bundle: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(bundle, tmp_path / "exports" / "1")
    folders.BUNDLES[kind](folder)
    with pytest.raises(DamagedError):
        export.open_bundle(folder)


def test_a_large_file_in_a_folder_of_pictures(digits: Dataset, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number, image in enumerate(digits.test.images[:10]):
            PIL.Image.fromarray(image[..., 0]).save(tmp_path / "data" / name / f"{number}.png")
    pictures.make("file of 20 GB", tmp_path / "data" / "a")
    with pytest.raises(InputError, match=r"a\.png is too large: 21,474,836,480 bytes"):
        image_folder.survey(tmp_path / "data")
