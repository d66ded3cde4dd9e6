"""What a failure ends: one input, a run, or the program; and what the user is told of it.

Around the libraries that read people's files, no list of expected exceptions is ever complete. So
whatever one input raises fails that input, in one line that names it, and the others go on. A
`RunError` alone would meet them too. With ``--debug`` the tracebacks are shown.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from geoseg.errors import ConfigError, GeosegError, RunError
from geoseg.foreign import without_secrets
from geoseg.report import shorten

LOG = logging.getLogger("geoseg")
"""Gets the tracebacks of failed inputs, as debugging messages."""
_OF_PATHS = (
    *(errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.ENOENT),
    *(errno.ENOTDIR, errno.EISDIR, errno.ELOOP),
)
"""What is wrong with a path that is asked about, before anything is read or written there."""
_OF_MEMORY = ("can't allocate memory", "out of memory", "not enough memory")
"""What torch says of a processor, of a GPU, and of Windows."""
_LESS_AT_ONCE = (
    "take less at once (predict: --window, --batch; train: train.crop, train.batch), or a machine "
    "with more"
)
EXIT_FAILED = 1
"""Something was begun, and some of it failed."""
EXIT_NOTHING_BEGUN = 2
"""Options, model or config are wrong, or no input can be used."""


@contextmanager
def per_input(subject: str | Path, note: Callable[[str], None]) -> Iterator[None]:
    """Let one input fail alone.

    Args:
        subject: what an unexpected failure is named after; geoseg's own errors name their file.
        note: gets the line about what was raised.

    Raises:
        RunError: the fault would meet every other input too.
    """
    try:
        yield
    except RunError:
        raise
    except Exception as error:
        LOG.debug("%s", subject, exc_info=True)
        note(failure_line(subject, error))


@contextmanager
def naming_the_rest(waiting: Sequence[str], failures: Sequence[str] = ()) -> Iterator[None]:
    """Let a fault of the run itself say what it leaves undone, in lines of their own.

    Args:
        waiting: what is not done; looked at when the fault comes.
        failures: lines about what has failed before, which would be lost.
    """
    try:
        yield
    except RunError as error:
        lines = [*failures, str(error), *not_done(waiting)]
        raise type(error)("\n".join(lines)) from error


def not_done(waiting: Sequence[str]) -> list[str]:
    """A line about what a stopped run has not done; none where that is nothing."""
    if not waiting:
        return []
    names = shorten(waiting)
    return [f"the run was stopped there; not done: {names}; the same command continues"]


def failure_line(subject: str | Path, error: Exception) -> str:
    """One line about an error: in geoseg's own words, or as what lacks, or was not expected."""
    words = without_secrets(" ".join(str(error).split()))
    if isinstance(error, GeosegError):
        return words
    what = f"{type(error).__name__}: {words}" if words else type(error).__name__
    if isinstance(error, OSError) and error.filename and error.errno in _OF_PATHS:
        where = "check the path (--debug shows where it arose)"
        return f"{subject}: {error.strerror} ({error.filename}); {where}"
    if isinstance(error, MemoryError) or any(said in words for said in _OF_MEMORY):
        return f"{subject}: memory does not suffice ({what}); {_LESS_AT_ONCE}"
    return f"{subject}: an error that geoseg does not know ({what}); --debug shows where it arose"


@contextmanager
def begun() -> Iterator[None]:
    """Mark what is raised in the block: something was begun, and `exit_code_of` says so.

    A ConfigError is none of these: it refuses what it is about before anything of it begins.
    """
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        vars(error).setdefault("exit_code", EXIT_FAILED)
        raise


def exit_code_of(error: Exception) -> int:
    """The exit code of a program that ends by this error: 1 where something was begun, else 2."""
    return int(vars(error).get("exit_code", EXIT_NOTHING_BEGUN))
