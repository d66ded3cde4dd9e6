"""A running command's progress, shown on stderr."""

from __future__ import annotations

import sys
from typing import Any

from geoseg.progress import Progress


class TerminalProgress(Progress):
    """Notes and a bar with the time left, on stderr."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None

    def note(self, line: str) -> None:
        """Print the line above the bar."""
        if self._bar is None:
            sys.stderr.write(line + "\n")
        else:
            self._bar.console.print(line, highlight=False, markup=False)

    def begin(self, name: str, total: int) -> None:
        """Show a bar."""
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as Bar

        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task(name, total=total)
        self._bar.start()

    def advance(self, count: int) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.advance(self._task, count)

    def end(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
