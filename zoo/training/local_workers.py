"""Start the workers of a training on this machine, and end them together."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import IO

from zoo.errors import WorkerError
from zoo.training.children import Children
from zoo.util import streams, tf_config

_SECONDS = 0.1  # between two looks at the workers
_GRACE = 20.0  # seconds for the others to end by themselves after one ended
_GRACE_AFTER_ERROR = 2.0  # the same after an error, which the others may also have found


def run(count: int, module: str) -> int:
    """Run this command as several workers, wait for their end, and return the exit code.

    SIGINT and SIGTERM are passed on to all workers; they kill those that still connect to the
    others, and a second one, at least a second later, kills all. If a worker fails, its messages
    are printed, and the others end. Each worker has the same number of cores.

    Args:
        count: number of workers.
        module: the module of the command; the workers get the arguments of this process.

    Raises:
        Interrupted: a signal ended a worker that did not save its state.
        WorkerError: a worker was killed.
    """
    command = [sys.executable, "-m", module, *sys.argv[1:]]
    with ExitStack() as stack:
        errors = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(count)]
        addresses = stack.enter_context(free_addresses(count))
        children = stack.enter_context(Children())
        for number, (cores, error) in enumerate(zip(_core_shares(count), errors, strict=True)):
            environment = os.environ | {
                tf_config.VARIABLE: tf_config.write_config(addresses, number),
                "TF_GRPC_REUSE_PORT": "1",
                # Otherwise gRPC uses the proxy in http_proxy even on this machine.
                "no_grpc_proxy": "127.0.0.1",
            }
            output = None if number == 0 else subprocess.DEVNULL
            with _on_cores(cores):
                children.start(command, environment, output, error)
        workers = children.processes
        failed = _first_failure(workers)
        cause = 0 if failed is None else _cause(workers, failed)
        _print(errors[cause])
        children.raise_for_kill(
            workers[cause],
            f"worker {cause}",
            "continue with the same command and --resume",
        )
        return workers[cause].returncode


@contextmanager
def free_addresses(count: int) -> Iterator[tuple[str, ...]]:
    """Yield free ``host:port`` of this machine, which no other process gets within the block.

    A server takes one if it sets ``SO_REUSEPORT``, as TensorFlow's does with
    ``TF_GRPC_REUSE_PORT=1``.
    """
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            each.bind(("127.0.0.1", 0))
        yield tuple(f"127.0.0.1:{each.getsockname()[1]}" for each in sockets)


def _core_shares(count: int) -> list[list[int]]:
    """Return the cores of each worker: neighbors, which share a memory.

    Each has the same number, at least one, because the numbers of shards and threads depend on it.
    Remaining cores are not used.
    """
    if not hasattr(os, "sched_getaffinity"):
        return [[] for _ in range(count)]
    cores = sorted(os.sched_getaffinity(0))
    each = max(1, len(cores) // count)
    firsts = [number * each % len(cores) for number in range(count)]
    return [cores[first : first + each] for first in firsts]


@contextmanager
def _on_cores(cores: list[int]) -> Iterator[None]:
    """Give processes that start in the block these cores; an empty list changes nothing."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _first_failure(workers: list[subprocess.Popen]) -> int | None:
    """Return the first worker that ends with another code than 0; None if all end with 0."""
    while True:
        codes = [worker.poll() for worker in workers]
        if all(code == 0 for code in codes):
            return None
        if failed := [number for number, code in enumerate(codes) if code]:
            return failed[0]
        time.sleep(_SECONDS)


def _cause(workers: list[subprocess.Popen], failed: int) -> int:
    """Wait for the others to end, and return the first that failed without waiting for another."""
    code = workers[failed].returncode
    if code < 0:  # killed; the others wait in vain
        return failed
    is_own = code < WorkerError.exit_code
    deadline = time.monotonic() + (_GRACE_AFTER_ERROR if is_own else _GRACE)
    while time.monotonic() < deadline and any(worker.poll() is None for worker in workers):
        time.sleep(_SECONDS)
    codes = {number: worker.returncode for number, worker in enumerate(workers)}
    own = [number for number, code in codes.items() if code not in (None, 0, WorkerError.exit_code)]
    return min(own, default=failed)


def _print(errors: IO[bytes]) -> None:
    errors.seek(0)
    for line in errors.read().decode(errors="replace").splitlines():
        streams.tell(line)
