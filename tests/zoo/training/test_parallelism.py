from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import zoo
from tests.conftest import ROOT
from zoo import recipes
from zoo.errors import InputError
from zoo.training import parallelism, workers

RECIPE = recipes.get_recipe("quick")


@pytest.fixture
def new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Imitate a process whose TensorFlow has not run an operation: threads can be set."""
    threads = [0]  # TensorFlow's default, all cores
    threading = tf.config.threading
    monkeypatch.setattr(threading, "set_intra_op_parallelism_threads", threads.append)
    monkeypatch.setattr(threading, "get_intra_op_parallelism_threads", lambda: threads[-1])


@pytest.mark.usefixtures("new_process")
@pytest.mark.parametrize("gpus", [0, 1, 2])
def test_gpus_compute_whole_batches_in_a_fixed_order(
    gpus: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind] * gpus)
    config = tf.config.experimental
    monkeypatch.setattr(config, "enable_op_determinism", lambda: called.append("order"))

    def mirrored() -> tf.distribute.Strategy:
        called.append("all")
        return tf.distribute.get_strategy()

    monkeypatch.setattr(tf.distribute, "MirroredStrategy", mirrored)
    parallelism.prepare(RECIPE, ["ltfn5"])
    assert (parallelism.resolve(RECIPE, "ltfn5").shards == 1) == bool(gpus)
    workers.start("auto", None)
    workers.start("one", None)
    assert called == [[], ["order"], ["order", "all"]][gpus]


def test_float32_is_not_rounded() -> None:
    script = (
        "from zoo.util import backend; backend.start_tensorflow(); import tensorflow as tf; "
        "print(tf.config.experimental.tensor_float_32_execution_enabled())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout == "False\n", done.stderr


@pytest.mark.usefixtures("new_process")
@pytest.mark.parametrize(
    ("models", "cores", "batch_size", "expected"),
    [
        (["ltfn5", "ltfn3"], 2, 100, [(4, 1), (4, 1)]),
        (["ltfn5"], 4, 100, [(8, 1)]),
        # Too few images for so many cores.
        (["ltfn5"], 8, 100, [(1, 8)]),
        (["ltfn5"], 2, 47, [(1, 2)]),
        (["ltfn5"], 8, 192, [(16, 1)]),
        # Too many to trace.
        (["ltfn5"], 9, 10_000, [(1, 9)]),
        # One network that needs whole batches disables shards for the whole process.
        (["ltfn5", "compact-4k"], 2, 100, [(1, 2), (1, 2)]),
    ],
)
def test_shards_are_for_networks_and_batches_that_gain(
    models: list[str],
    cores: int,
    batch_size: int,
    expected: list[tuple[int, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parallelism, "cores", lambda: cores)
    recipe = RECIPE.replace(batch_size=batch_size)
    parallelism.prepare(recipe, models)
    resolved = [parallelism.resolve(recipe, name) for name in models]
    assert [(each.shards, each.threads) for each in resolved] == expected


@pytest.mark.usefixtures("new_process")
@pytest.mark.parametrize("cores", [1, 2, 8])
@pytest.mark.parametrize(
    ("model", "shards", "threads"), [("ltfn5", 4, 1), ("ltfn5", 1, 3), ("compact-4k", 1, 2)]
)
def test_given_numbers_are_used_on_any_number_of_cores(
    model: str, shards: int, threads: int, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallelism, "cores", lambda: cores)
    recipe = RECIPE.replace(shards=shards, threads=threads)
    parallelism.prepare(recipe, [model])
    assert parallelism.resolve(recipe, model) == recipe


@pytest.mark.usefixtures("new_process")
def test_given_shards_are_single_threaded() -> None:
    recipe = RECIPE.replace(shards=3)
    parallelism.prepare(recipe, ["ltfn5"])
    assert parallelism.resolve(recipe, "ltfn5") == recipe.replace(threads=1)


def test_batch_normalization_needs_the_whole_batch() -> None:
    with pytest.raises(InputError, match=r"compact-4k has batch normalization.* received 2"):
        parallelism.resolve(RECIPE.replace(shards=2), "compact-4k")


def test_a_process_that_prepares_first_computes_in_shards() -> None:
    code = """
from zoo import recipes
from zoo.training import parallelism
from zoo.util import backend
backend.start_tensorflow()
parallelism.cores = lambda: 2
recipe = recipes.get_recipe("quick")
parallelism.prepare(recipe, ["ltfn5"])
recipe = parallelism.resolve(recipe, "ltfn5")
print(recipe.shards, recipe.threads)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "4 1\n"


def test_a_tensorflow_that_has_begun_keeps_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallelism, "cores", lambda: 2)  # few enough for shards
    tf.zeros([1])
    threads = tf.config.threading.get_intra_op_parallelism_threads()
    parallelism.prepare(RECIPE, ["ltfn5"])
    assert tf.config.threading.get_intra_op_parallelism_threads() == threads
    resolved = parallelism.resolve(RECIPE, "ltfn5")
    assert (resolved.shards, resolved.threads) == (1, 2)
    with pytest.raises(InputError, match=r"the recipe uses 7 threads .* already uses 2 in this"):
        parallelism.resolve(RECIPE.replace(threads=7), "ltfn5")


# Trains on so many cores, and leaves an unfinished run with the checkpoint of step 3 of 6.
TRAIN = """
import os, sys
cores, model, *arguments = sys.argv[1:]
os.sched_setaffinity(0, range(int(cores)))
from zoo import train
from zoo.training import checkpoints
if arguments[-1] == "unfinished":
    arguments[-1:] = ["--checkpoint-seconds", "0"]
    save = checkpoints.Checkpoints.save
    def die_after_three(self, position):
        save(self, position)
        if position.step == 3:
            os._exit(9)
    checkpoints.Checkpoints.save = die_after_three
train.main([model, *arguments])
"""


@pytest.mark.usefixtures("digits")
@pytest.mark.parametrize("model", [pytest.param("ltfn3", marks=pytest.mark.long), "compact-4k"])
def test_a_training_resumed_on_fewer_cores_reaches_the_same_bits(
    model: str, environment: dict[str, str], tmp_path: Path
) -> None:
    request = ("--data", "digits", "--steps", "6", "--precision", "float32")

    def train(cores: int, *arguments: str) -> int:
        line = [sys.executable, "-c", TRAIN, str(cores), model, *arguments]
        done = subprocess.run(
            line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode

    assert train(2, *request, "--out", "whole") == 0
    assert train(2, *request, "--out", "parted", "unfinished") == 9
    assert train(1, "--resume", "--out", "parted") == 0
    whole, parted = (zoo.load_model(tmp_path / name) for name in ("whole", "parted"))
    for one, other in zip(whole.get_weights(), parted.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
