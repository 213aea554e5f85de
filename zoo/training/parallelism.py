"""Decide how a batch is computed in parallel, which changes the weights only by rounding.

A batch is split into shards that are computed in parallel, each with single-threaded operations.
This trains faster than multithreaded operations on the whole batch: those wait for their slowest
thread, and weight gradients add up the parts of all threads. A shard does neither, and its
activations stay in the CPU cache. On two cores, two shards per core were fastest;
``python -m tools.bench shards`` measures the gain.

The numbers of shards and of threads decide in which order numbers are added, and so the last bits
of the weights. Both are therefore part of the recipe that a run records.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from etils import epy

from zoo.errors import InputError
from zoo.models import registry
from zoo.recipes import Recipe
from zoo.util.environment import cores

with epy.lazy_imports():
    import tensorflow as tf

_SHARDS_PER_CORE = 2

# Each shard is traced, which takes seconds for dozens of them. A batch that would have more shards
# than this is not split at all.
_MAX_SHARDS = 16

# With fewer images per shard, the overhead per shard exceeds the gain.
_MIN_IMAGES = 12


def prepare(recipe: Recipe, models: Sequence[str], workers: int = 1) -> None:
    """Set the number of threads per operation, and the order of additions on a GPU.

    The threads can only be set if TensorFlow has not run an operation yet.

    It is the recipe's number; if the recipe leaves it open, one thread for networks that all train
    faster in shards, else one per core.

    Args:
        recipe: how to train.
        models: names of the networks that this process will train.
        workers: number of processes among which each batch is divided.

    Raises:
        InputError: shards of a network with batch normalization.
    """
    for name in models:
        _check_shards(recipe, name)
    threads = recipe.threads
    if threads is None:
        shards = (
            recipe.shards or _best_shards(name, recipe.batch_size // workers) for name in models
        )
        threads = 1 if min(shards) > 1 else cores()
    with contextlib.suppress(RuntimeError):  # raised if an operation has run
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    if on_gpu():  # otherwise it adds numbers in a different order each time
        tf.config.experimental.enable_op_determinism()


def on_gpu() -> bool:
    """Return whether TensorFlow trains on a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def resolve(recipe: Recipe, model: str, replicas: int = 1) -> Recipe:
    """Return the recipe with its numbers of shards and threads.

    Numbers that it leaves open are those that this process uses: shards only if operations are
    single-threaded.

    Args:
        recipe: how to train.
        model: name of the network.
        replicas: number of processes, or of their GPUs, among which each batch is divided.

    Raises:
        InputError: the recipe requires another number of threads than this process uses, or shards
            of a network with batch normalization, or a replica would have no image of a batch.
    """
    used = tf.config.threading.get_intra_op_parallelism_threads() or cores()
    if recipe.threads not in (None, used):
        raise InputError(
            f"the recipe uses {recipe.threads} threads per operation, but TensorFlow already uses "
            f"{used} in this process; train in a new process, with python -m zoo.train"
        )
    _check_shards(recipe, model)
    shards = recipe.shards
    if shards is None:
        shards = _best_shards(model, recipe.batch_size // replicas) if used == 1 else 1
    if replicas > 1 and recipe.batch_size < replicas * shards:
        raise InputError(
            f"a batch of {recipe.batch_size} images cannot be divided among {replicas} workers "
            f"with {shards} shards each; give fewer workers, or a larger --batch-size"
        )
    return recipe.replace(shards=shards, threads=used)


def _check_shards(recipe: Recipe, model: str) -> None:
    if (recipe.shards or 1) > 1 and registry.get_spec(model).batch_statistics:
        raise InputError(
            f"{model} has batch normalization, whose statistics need the whole batch: shards must "
            f"be 1, received {recipe.shards}"
        )


def _best_shards(model: str, batch_size: int) -> int:
    """Return the number of shards that trains a network fastest on this machine."""
    shards = _SHARDS_PER_CORE * cores()
    few = shards <= min(_MAX_SHARDS, batch_size // _MIN_IMAGES)
    whole = registry.get_spec(model).batch_statistics
    return shards if few and not whole and not on_gpu() else 1
