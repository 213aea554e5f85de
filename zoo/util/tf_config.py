"""Read ``TF_CONFIG``, TensorFlow's description of the processes that train together."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import Any

from zoo.errors import InputError

VARIABLE = "TF_CONFIG"

_JOBS = ("chief", "worker")  # in TensorFlow's order of their numbers


@dataclass(frozen=True)
class Task:
    """A process among the workers that train together.

    Attributes:
        number: number of the worker, from 0; worker 0 is the chief.
        addresses: ``host:port`` of each worker, in the order of their numbers.
    """

    number: int
    addresses: tuple[str, ...]

    @property
    def prefix(self) -> str:
        """What its messages begin with; nothing for the chief."""
        return f"worker {self.number}: " if self.number else ""


def read_task() -> Task | None:
    """Return what ``TF_CONFIG`` says of this process; None if it is not set, or has no cluster.

    Raises:
        InputError: it is not as TensorFlow documents it, or has other jobs than chief and worker.
    """
    text = os.environ.get(VARIABLE)
    if not text:
        return None
    try:
        config = json.loads(text)
        cluster = config.get("cluster", {})
        return _task(cluster, config["task"]) if cluster else None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{VARIABLE} must be like {write_config(('host1:2222', 'host2:2222'), 0)}, "
            f"received {text}"
        ) from error


def write_config(addresses: tuple[str, ...], number: int) -> str:
    """Return the ``TF_CONFIG`` of one worker."""
    return json.dumps(
        {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": number}}
    )


def _task(cluster: dict[str, list[str]], task: dict[str, Any]) -> Task:
    if other := cluster.keys() - set(_JOBS):
        raise InputError(
            f"{VARIABLE} has jobs {', '.join(sorted(other))}; a training has only chief and worker"
        )
    addresses = {job: tuple(cluster.get(job, [])) for job in _JOBS}
    if not all(isinstance(each, list) for each in cluster.values()) or len(addresses["chief"]) > 1:
        raise ValueError("not lists of addresses, or several chiefs")
    if not all(_is_address(each) for job in _JOBS for each in addresses[job]):
        raise ValueError("not a host and a port")
    job, index = task["type"], int(task["index"])
    before = len(addresses["chief"]) if job == "worker" else 0
    if not 0 <= index < len(addresses[job]):
        raise ValueError("no such task")
    return Task(before + index, addresses["chief"] + addresses["worker"])


def _is_address(text: str) -> bool:
    """Return whether a text is a name or an IP address with a port."""
    if not re.fullmatch(r"\S+:\d{1,5}", text):
        return False
    host, port = split_address(text)
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return port < 1 << 16


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of ``host:port``; an IPv6 address stands in brackets."""
    host, _, port = address.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)
