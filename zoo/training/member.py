"""Make a process a worker: who prints, and what its error messages say."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

from etils import epy

from zoo.errors import WorkerError, ZooError, first_line
from zoo.training import supervisor
from zoo.util.tf_config import Task

with epy.lazy_imports():
    import tensorflow as tf


@contextlib.contextmanager
def member(task: Task) -> Iterator[None]:
    """Make this process a worker within the block.

    Only the chief prints to standard output. Error messages begin with the number of the worker,
    unless it is the chief.

    Raises:
        WorkerError: an operation of TensorFlow failed because another worker ended.
    """
    with contextlib.ExitStack() as stack:
        if task.number:
            null = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            stack.enter_context(contextlib.redirect_stdout(null))
        try:
            yield
        except ZooError as error:
            error.args = (f"{task.prefix}{error}",)
            raise
        except OSError as error:
            error.strerror = f"{task.prefix}{error.strerror or error}"
            raise
        except Exception as error:
            if not isinstance(error, _lost()):
                raise
            # In this time the parent ends this process, and names the worker that ended.
            time.sleep(supervisor.NOTICE_SECONDS + supervisor.GRACE_SECONDS)
            raise WorkerError(f"{task.prefix}{first_line(error)}; {supervisor.AGAIN}") from error


def _lost() -> tuple[type[Exception], ...]:
    """Return the errors of an operation that another worker did not complete."""
    errors = tf.errors
    return (
        errors.AbortedError,
        errors.CancelledError,
        errors.DeadlineExceededError,
        errors.FailedPreconditionError,
        errors.InternalError,
        errors.UnavailableError,
        errors.UnknownError,
    )
