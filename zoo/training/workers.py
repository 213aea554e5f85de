"""The processes and devices that train one network together, with ``tf.distribute``.

Each replica, a process or one of its GPUs, computes its part of every batch. The gradients are
added over all replicas, so each replica makes the same update as one process would, up to rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from etils import epy

from zoo.errors import InputError, first_line
from zoo.training import children
from zoo.util import signals
from zoo.util.tf_config import Task

with epy.lazy_imports():
    import keras
    import tensorflow as tf

STRATEGIES = ("auto", "one", "mirrored", "multi-worker")


class Workers:
    """The workers of a training, of which this process is one.

    Attributes:
        strategy: creates the variables of the network and of the optimizer within its scope.
        number: number of this worker; 0 is the chief, which alone writes the run and prints.
        count: number of workers.
    """

    def __init__(self, strategy: tf.distribute.Strategy, task: Task | None = None) -> None:
        self.strategy = strategy
        self.number = task.number if task else 0
        self.count = len(task.addresses) if task else 1
        self.replicas = strategy.num_replicas_in_sync

    @property
    def is_chief(self) -> bool:
        """Whether this worker writes the run and prints."""
        return self.number == 0

    def broadcast(self, array: np.ndarray) -> np.ndarray:
        """Return the chief's array, bit for bit; the arrays of all have one shape and dtype."""
        if self.count == 1:
            return array
        # The sum of integers with zeros is exact, and collective operations do not add bytes.
        padded = array.tobytes() + bytes(-array.nbytes % 4)
        words = np.frombuffer(padded, np.int32)
        sent = self._sum(words if self.is_chief else np.zeros_like(words))
        return np.frombuffer(sent.tobytes()[: array.nbytes], array.dtype).reshape(array.shape)

    def largest(self, number: int) -> int:
        """Return the largest of the workers' numbers, each at least 0."""
        if self.count == 1:
            return number
        each = np.zeros(self.count, np.int32)
        each[self.number] = number
        return int(self._sum(each).max())

    def broadcast_variables(self, variables: list[Any]) -> None:
        """Give the variables of every worker the chief's values."""
        for variable in variables if self.count > 1 else ():
            variable.assign(self.broadcast(np.asarray(variable)))

    def check_same(self, digest: str) -> None:
        """Check that all workers train the same.

        Args:
            digest: SHA-256 of this worker's request, 64 hexadecimal digits.

        Raises:
            InputError: that of a worker is not that of the chief.
        """
        mine = np.frombuffer(bytes.fromhex(digest), np.uint8)
        differs = (self.broadcast(mine) != mine).any()
        if self.largest(int(differs)):
            raise InputError(
                "the network, the data, the recipe, or its shards and threads are not the same for "
                "all workers; give each the same options, and on different machines also "
                "--set shards=N and --set threads=N"
            )

    def wait(self) -> None:
        """Wait until every worker has come here."""
        self.largest(0)

    def _sum(self, values: np.ndarray) -> np.ndarray:
        """Return the sum over the workers of int32 arrays of one shape."""
        # Each replica gives a value, so only the first of a worker gives its array.
        first = self.number * self.replicas // self.count

        def value(context: Any) -> Any:
            is_first = context.replica_id_in_sync_group == first
            return tf.constant(values if is_first else np.zeros_like(values))

        each = self.strategy.experimental_distribute_values_from_function(value)
        return self.strategy.reduce("SUM", each, axis=None).numpy()


def alone() -> Workers:
    """Return this process as the only worker."""
    return Workers(tf.distribute.get_strategy())


def start(strategy: str, task: Task | None) -> Workers:
    """Return the workers of a strategy, after all of them have started.

    TensorFlow must not have run an operation yet.

    Args:
        strategy: one of ``STRATEGIES``; ``auto`` takes the workers of the task, or else all GPUs of
            this machine, or else this process.
        task: this process among several workers; ``multi-worker`` requires it.

    Raises:
        InputError: TensorFlow has run an operation.
    """
    if task:
        try:
            multi_worker = tf.distribute.MultiWorkerMirroredStrategy()
        except RuntimeError as error:
            raise InputError(
                f"TensorFlow cannot start this worker: {first_line(error)}; a module of --import "
                "must not compute anything when it is imported"
            ) from error
        # TensorFlow has replaced the handler of SIGTERM.
        signals.raise_exceptions()
        children.report_ready()
        return Workers(multi_worker, task)
    gpus = len(tf.config.list_physical_devices("GPU"))
    if strategy == "mirrored" or (strategy == "auto" and gpus > 1):
        return Workers(tf.distribute.MirroredStrategy())
    return alone()


def synchronize_batch_statistics(model: keras.Model) -> None:
    """Make batch normalization use the statistics of the whole batch, not of a replica's part."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True
