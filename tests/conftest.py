"""Shared fixtures: a real dataset, a real run and a real bundle of it.

pytest-xdist runs the tests in several worker processes. What takes long to make is made by the
first worker that needs it, and used by all.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import PIL.Image
import pytest
import tensorflow as tf
from filelock import FileLock

import zoo
from zoo import data, recipes
from zoo.models import registry, user_modules
from zoo.runs import Run
from zoo.util import backend, stderr


def _keep_to_own_cores() -> None:
    """Give each worker an equal share of the cores: threads that compete for them take longer."""
    worker, workers = (os.environ.get(f"PYTEST_XDIST_WORKER{end}", "") for end in ("", "_COUNT"))
    if worker and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        count = min(int(workers), len(cores))
        os.sched_setaffinity(0, cores[int(worker.removeprefix("gw")) % count :: count])


_keep_to_own_cores()
backend.start_tensorflow()
with stderr.captured():
    tf.zeros([1])  # so that no test changes the number of threads of those after it

# Background processes of a shell ignore SIGINT, and so would the commands that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parent.parent
MNIST_DIR = os.environ.get("ZOO_MANUAL_DIR")

needs_mnist = pytest.mark.skipif(
    not MNIST_DIR, reason="needs ZOO_MANUAL_DIR, a folder with the four original MNIST files"
)

# The names of all networks; tests of the large ones are marked slow.
EVERY_MODEL = [
    pytest.param(
        name,
        marks=[pytest.mark.slow] if registry.get_costs(name).multiply_adds > 90_000_000 else [],
    )
    for name in registry.list_models()
]

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all workers of this test session share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


def make_once(folder: Path, make: Callable[[], object]) -> Path:
    """Fill a new folder with ``make`` in the first worker that calls this; return the folder."""
    done = folder.with_name(f"{folder.name}.done")
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if not done.exists():
            folder.mkdir()
            make()
            done.touch()
    return folder


@pytest.fixture(scope="session")
def data_dir(shared: Path) -> Path:
    """Return the folder where tfds stores prepared datasets during the tests."""
    folder = shared / "tfds"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def environment(data_dir: Path) -> dict[str, str]:
    """Return the environment of a command, without MNIST unless a test adds it."""
    kept = {key: value for key, value in os.environ.items() if key != "ZOO_MANUAL_DIR"}
    return kept | {"TFDS_DATA_DIR": str(data_dir), "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="session")
def command(environment: dict[str, str]) -> Command:
    """Return a function that runs ``python -m ...`` in a subprocess."""

    def run(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", *map(str, arguments)]
        return subprocess.run(
            line, cwd=cwd, env=environment, capture_output=True, text=True, check=False
        )

    return run


@pytest.fixture(scope="session")
def digits(data_dir: Path) -> data.Dataset:
    """Return the embedded dataset."""
    return data.load("digits", data_dir=str(data_dir))


@pytest.fixture(scope="session")
def mnist(shared: Path) -> data.Dataset:
    """Return MNIST, prepared from the four original files and decoded anew."""
    folder = shared / "mnist"

    def load() -> data.Dataset:
        return data.load("auto", manual_dir=MNIST_DIR, data_dir=str(folder), offline=True)

    make_once(folder, load)
    return load()


@pytest.fixture(scope="session")
def workplace(command: Command, shared: Path) -> Path:
    """Return a folder with ``runs/ltfn5`` and ``exports/ltfn5/1``, created by the commands."""
    folder = shared / "workplace"

    def make() -> None:
        # On every number of cores it is the same network.
        arguments = ("--data", "digits", "--steps", 60, "--batch-size", 64, "--set", "shards=4")
        trained = command("zoo.train", "ltfn5", *arguments, cwd=folder)
        assert trained.returncode == 0, trained.stderr
        exported = command("export", "runs/ltfn5", cwd=folder)
        assert exported.returncode == 0, exported.stderr
        (folder / "trained.txt").write_text(trained.stdout)
        (folder / "exported.txt").write_text(exported.stdout)

    return make_once(folder, make)


@pytest.fixture(scope="session")
def small(command: Command, shared: Path) -> Path:
    """Return a folder with a run of a small network and its bundle in every format."""
    folder = shared / "small"

    def make() -> None:
        recipe = ("--steps", 150, "--set", "learning_rate=0.02", "--set", "threads=2")
        arguments = ("--data", "digits", *recipe)
        trained = command("zoo.train", "compact-10k", *arguments, cwd=folder)
        assert trained.returncode == 0, trained.stderr
        beside = ("--beside", "ltfn1", "--beside", "dynamic")
        exported = command("export", "runs/compact-10k", "--formats", "all", *beside, cwd=folder)
        assert exported.returncode == 0, exported.stderr

    return make_once(folder, make)


@pytest.fixture(scope="session")
def bundle(small: Path) -> Path:
    """Return the bundle of the small network, in every format."""
    return small / "exports" / "compact-10k" / "1"


@pytest.fixture(scope="session")
def manifest(bundle: Path) -> dict[str, Any]:
    """Return the manifest of that bundle."""
    return json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))


@pytest.fixture
def examples(workplace: Path, digits: data.Dataset, tmp_path: Path) -> Path:
    """Return a folder for examples: a run, a study, a bundle, a picture, and room for more."""
    run = "runs/ltfn5"
    for folder, made in (
        (run, run),
        ("studies/quick/ltfn5-seed0", run),
        ("exports/ltfn5/1", "exports/ltfn5/1"),
    ):
        (tmp_path / folder).parent.mkdir(parents=True)
        (tmp_path / folder).symlink_to(workplace / made)
    PIL.Image.fromarray(digits.test.images[0, :, :, 0]).save(tmp_path / "digit.png")
    return tmp_path


@pytest.fixture(scope="session")
def experiment(digits: data.Dataset) -> dict[str, Any]:
    """Return the request of a run: ltfn5 on the digits."""
    recipe = dataclasses.asdict(recipes.get_recipe("quick"))
    return {
        "model": "ltfn5",
        "data": digits.record(),
        "recipe": recipe,
        "start": None,
        "teachers": [],
        "architecture": None,
    }


@pytest.fixture
def new_run(experiment: dict[str, Any], tmp_path: Path) -> Run:
    """Return a run folder without training."""
    run = Run(tmp_path / "run")
    run.create(experiment)
    return run


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo what a test registers or imports."""
    zoo.list_models()
    monkeypatch.setattr(registry, "_specs", dict(registry._specs))
    monkeypatch.setattr(user_modules, "_imported", [])
    known = keras.saving.get_custom_objects()
    before = dict(known)
    yield
    known.clear()
    known.update(before)
