"""Warnings of libraries, heard by the thread that causes them.

`warnings.catch_warnings` changes what all threads share. Of two blocks that overlap, one would take
the other's warnings, and the one that ends last would bring back what the other has set.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


class _Hearing:
    """Who listens to what; filters are changed while anyone does, and brought back after that."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners = 0
        self._before = warnings.catch_warnings()
        self._show = warnings.showwarning
        self._of_thread = threading.local()

    @contextmanager
    def hear(self, categories: tuple[type[Warning], ...], start: str) -> Iterator[list[str]]:
        """See `hear_warnings`."""
        heard: list[str] = []
        own = self._of_thread.__dict__.setdefault("listening", [])
        with self._lock:
            if not self._listeners:
                self._begin()
            self._listeners += 1
            for category in categories:
                warnings.simplefilter("always", category)
        own.append((categories, start, heard))
        try:
            yield heard
        finally:
            own.pop()
            with self._lock:
                self._listeners -= 1
                if not self._listeners:
                    self._before.__exit__(None, None, None)

    def _begin(self) -> None:
        self._show = warnings.showwarning
        self._before = warnings.catch_warnings()
        self._before.__enter__()
        warnings.showwarning = self._tell

    def _tell(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        """Give a warning to who listens in this thread, else to whom it would go anyway."""
        for categories, start, heard in reversed(getattr(self._of_thread, "listening", [])):
            if issubclass(category, categories) and str(message).startswith(start):
                heard.append(str(message))
                return
        self._show(message, category, filename, lineno, file, line)


_HEARING = _Hearing()


@contextmanager
def hear_warnings(*categories: type[Warning], start: str = "") -> Iterator[list[str]]:
    """The warnings that this thread causes in the block, as they come, in place of showing them.

    Args:
        categories: of the warnings.
        start: how they begin.
    """
    with _HEARING.hear(categories, start) as heard:
        yield heard
