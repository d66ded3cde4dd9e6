"""A running command's progress, shown on stderr or in a notebook."""

from __future__ import annotations

import sys
from typing import Any

from geoseg.progress import Progress


def shown_progress() -> Progress:
    """A bar where someone looks: in a notebook, or where stderr is a terminal; else nothing."""
    return TerminalProgress() if _in_notebook() or sys.stderr.isatty() else Progress()


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")  # who runs a notebook has imported it
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


class TerminalProgress(Progress):
    """Notes and a bar with the time left, on stderr; in a notebook, below its cell."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None

    def note(self, line: str) -> None:
        """Print the line above the bar."""
        if self._bar is None:
            # Notebooks show what is on stderr as if it were an error.
            (sys.stdout if _in_notebook() else sys.stderr).write(line + "\n")
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
