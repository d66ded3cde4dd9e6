"""The content of a model's file; what the system has against reading it becomes a `ModelError`."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from geoseg.errors import ModelError, one_line_reason
from geoseg.foreign import named_elsewhere

ZIP, PICKLE = b"PK", b"\x80"
"""How files begin that torch writes: archives, and pickles."""
_PROTOCOLS = [bytes([protocol]) for protocol in range(2, 6)]
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


def is_of_torch(path: Path) -> bool:
    """Whether a file is of the kind that ``torch.save`` writes, whatever its name; read or not.

    That is an archive of a pickle and its tensors, or, of old versions, a pickle.
    """
    try:
        with path.open("rb") as file:
            head = file.read(2)
            if not head.startswith(ZIP):
                return head[:1] == PICKLE and head[1:] in _PROTOCOLS
            with zipfile.ZipFile(file) as archive:
                return any(name.endswith("data.pkl") for name in archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


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
