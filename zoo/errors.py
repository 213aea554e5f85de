"""The errors of the project: one-line messages, and the exit code of each."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ZooError(Exception):
    """Base class of all user-facing errors; the message is one complete line."""

    exit_code = 1


class InputError(ZooError):
    """Invalid input; the message names what is allowed."""

    exit_code = 2


class VerificationError(ZooError):
    """A file does not compute what it should; it is not published, or no longer valid."""

    exit_code = 3


class DamagedError(VerificationError):
    """A file of a bundle is missing, altered, or not part of it; the bundle is not opened."""


class DivergedError(ZooError):
    """A cost, a weight or a logit is not finite."""

    exit_code = 4


class WorkerError(ZooError):
    """A worker of a distributed training ended, which ends the others."""

    exit_code = 5


class Interrupted(ZooError):  # noqa: N818 - an interruption is not an error
    """A signal ended the work early, after all progress was saved."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


EXIT_CODES = """exit codes:
  0    done
  1    system error (disk full, no permission, killed subprocess)
  2    invalid input: the message names what is allowed and what was received
  3    an exported file is wrong or damaged; it is not published, or not opened
  4    training diverged: a cost, a weight or a logit is not finite
  5    another worker of a distributed training ended; --resume continues from the saved state
  130  interrupted (Ctrl-C); 143 terminated; a training saves its state at the first signal"""


def one_line(error: BaseException) -> str:
    """Return the type and the first line of the message of an exception in a user's code.

    The type is included because the message alone may not explain the error, as in ``KeyError: 3``.
    """
    return ": ".join([type(error).__name__, *str(error).strip().splitlines()[:1]])


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message without its type; only the type if it is empty.

    For errors of libraries whose messages are sentences; ``one_line`` is for any exception.
    """
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def unknown(
    kind: str,
    received: str,
    allowed: Iterable[str],
    *,
    preferred: Iterable[str] = (),
    described: str | None = None,
) -> InputError:
    """Return an ``InputError`` for a name that is not in ``allowed``, with the closest match.

    A match in ``preferred`` replaces those in ``allowed``. ``described`` replaces the list of
    allowed names in the message if that list is too long.
    """
    allowed = sorted(allowed)
    nearest = _closest(received, preferred) or _closest(received, allowed)
    hint = f"did you mean {nearest!r}? " if nearest else ""
    return InputError(
        f"unknown {kind} {received!r}; {hint}allowed: {described or ', '.join(allowed)}"
    )


def _closest(received: str, names: Iterable[str]) -> str | None:
    lower = {name.lower(): name for name in names}
    nearest = difflib.get_close_matches(received.lower(), lower, n=1, cutoff=0.5)
    return lower[nearest[0]] if nearest else None
