"""Lines that are kept as they come: in a file, or in one object after the other of a bucket."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from geoseg.places import AnyPath, files_in
from geoseg.stores import StorePath
from geoseg.unwritable import naming_file

_SECONDS = 30.0
"""That lines for a bucket wait at most: an object cannot be appended to."""


class LineStream(Protocol):
    """What takes lines."""

    def write(self, line: str) -> None:
        """Keep a line, which ends with none itself."""


@contextmanager
def line_stream(path: AnyPath) -> Iterator[LineStream]:
    """What keeps lines at a path, beginning with none.

    Raises:
        OutputError: the file cannot be written.
    """
    stream = _Objects(path) if isinstance(path, StorePath) else _File(path)
    try:
        yield stream
    finally:
        stream.close()


def remove_lines(path: AnyPath) -> None:
    """Remove what a stream has kept."""
    if isinstance(path, Path):
        path.unlink(missing_ok=True)
        return
    for each in files_in(path.parent):
        if each.name.startswith(f"{path.stem}-") and each.suffix == path.suffix:
            each.unlink(missing_ok=True)


class _File:
    """One file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with naming_file(path):
            self._file = path.open("w", encoding="utf-8")

    def write(self, line: str) -> None:
        with naming_file(self._path):
            self._file.write(line + "\n")
            self._file.flush()

    def close(self) -> None:
        with naming_file(self._path):  # it tries again what could not be written
            self._file.close()


class _Objects:
    """``report-00001.jsonl`` and so on for ``report.jsonl``."""

    def __init__(self, path: StorePath) -> None:
        remove_lines(path)
        self._path = path
        self._lines: list[str] = []
        self._count = 0
        self._sent = time.monotonic()

    def write(self, line: str) -> None:
        self._lines.append(f"{line}\n")
        if time.monotonic() - self._sent >= _SECONDS:
            self.close()

    def close(self) -> None:
        """Send the lines that wait."""
        if self._lines:
            self._count += 1
            name = f"{self._path.stem}-{self._count:05d}{self._path.suffix}"
            self._path.with_name(name).put("".join(self._lines).encode())
        self._lines, self._sent = [], time.monotonic()
