"""The content of a model's file; what the system has against reading it becomes a `ModelError`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from geoseg.errors import ModelError, one_line_reason
from geoseg.foreign import named_elsewhere

_ADVICE = "give a model file written by geoseg, or a name that geoseg models lists"


def unreadable_error(path: Path, error: OSError, advice: str = _ADVICE) -> ModelError:
    """The error for a file that is missing, or that the system does not let geoseg read.

    A file may vanish at any moment, also after it was looked at.

    Args:
        path: of the file.
        error: what the system says.
        advice: what to do.
    """
    reason = error.strerror or one_line_reason(error)  # safetensors' own has a text alone
    return ModelError(named_elsewhere(path) or f"{path}: cannot be read ({reason}); {advice}")


@contextmanager
def reading(path: Path, advice: str = _ADVICE) -> Iterator[None]:
    """Read a file in the block; see `unreadable_error`.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        yield
    except OSError as error:
        raise unreadable_error(path, error, advice) from error


def read_content(path: Path) -> bytes:
    """All bytes of a file.

    Raises:
        ModelError: it cannot be read.
    """
    with reading(path):
        return path.read_bytes()


def read_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits; it is never in memory as a whole.

    Raises:
        ModelError: it cannot be read.
    """
    with reading(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
