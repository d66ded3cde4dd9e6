"""What travels between processes: sources, and what is large as a reference to a file."""

from __future__ import annotations

import copyreg
import hashlib
import pickle
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

from affine import Affine

from geoseg.errors import SourceError
from geoseg.files import write_bytes
from geoseg.places import AnyPath, files_in
from geoseg.unwritable import naming_file

_START, _END = "source-", ".pickle"
"""Of the names of such files."""
_SMALL = 1400
"""Bytes of a source that travels as it is."""


def _shorter(transform: Affine) -> tuple[type[Affine], tuple[float, ...]]:
    """What a transform is pickled as: its own way holds each number twice, in every task."""
    return Affine, tuple(transform)[:6]


copyreg.pickle(Affine, _shorter)


class Reference(NamedTuple):
    """The file of a source."""

    path: AnyPath
    digest: str
    """SHA-256 of its content."""


def write_source(source: Any, folder: AnyPath) -> Reference | None:
    """Write a source into a folder that all processes share; None where it is small.

    Raises:
        OutputError: the folder cannot be written.
    """
    content = pickle.dumps(source)
    if len(content) <= _SMALL:
        return None
    digest = hashlib.sha256(content).hexdigest()
    path = folder.absolute() / f"{_START}{digest[:16]}{_END}"
    write_bytes(path, content)
    return Reference(path, digest)


def remove_sources(folder: AnyPath) -> None:
    """Remove what was written into a folder.

    Raises:
        OutputError: a file cannot be removed.
    """
    for path in files_in(folder):
        if path.name.startswith(_START) and path.suffix == _END:
            with naming_file(path):
                path.unlink(missing_ok=True)


@lru_cache(maxsize=4)
def read_source(reference: Reference) -> Any:
    """The source that was written.

    Raises:
        SourceError: the file is gone, or is not the one that was written.
    """
    try:
        content = reference.path.read_bytes()
    except OSError as error:
        raise _lost(reference) from error
    # Unpickling runs what a file says: only what this run itself has written.
    if hashlib.sha256(content).hexdigest() != reference.digest:
        raise _lost(reference)
    return pickle.loads(content)  # noqa: S301


def referred(reference: Reference) -> Any:
    """The source in a file, which knows that it is there.

    Raises:
        SourceError: as `read_source`.
    """
    return replace(read_source(reference), reference=reference)


def _lost(reference: Reference) -> SourceError:
    return SourceError(
        f"{reference.path}: this list of sheets is gone or damaged; run the command again"
    )
