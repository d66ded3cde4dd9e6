"""One task on its way through a cluster: what it is, where it was begun, what is told of it."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from geoseg.errors import SourceError
from geoseg.inference.stories import Lane, Task

DEATHS = 3
"""Of workers during one task, which then is not tried again."""


@dataclass(slots=True, eq=False)
class Flight:
    """A task that was sent, and the promise of its result."""

    lane: Lane
    task: Task
    done: Future[Any] = field(default_factory=Future)
    sent: Any = None
    """Dask's future of the latest try."""
    only: list[str] = field(default_factory=list)
    """Addresses of the workers that may run it; none: all."""
    begun: list[str] = field(default_factory=list)
    """Addresses of the workers that began it."""
    before: int = 0
    """How many had begun it before the latest try."""
    answer: bytes | None = None
    """Pickled, the result and the windows passed, where the latest try has told of its end."""
    passed: int = 0
    """Windows that were told of."""

    @property
    def subject(self) -> str:
        """What it works on, for messages."""
        first, *rest = self.task.arguments or (None,)
        source = getattr(getattr(first, "folder", None), "source", None)
        name = self.task.function.__name__
        if source is not None:
            part = f"block {rest[0]}" if self.lane == "forward" else f"its files ({name})"
            return f"{source.path}: {part}"
        path = getattr(first, "path", None)
        return name if path is None else f"{path}: its first window"

    def give_up(self) -> None:
        """Fail: too many workers died while they ran it."""
        smaller = "a smaller --window, --batch or " if self.lane == "forward" else ""
        self.done.set_exception(
            SourceError(
                f"{self.subject}: {DEATHS} workers died while they ran it "
                f"({', '.join(self.begun[:DEATHS])}); their logs say why: often it is memory, "
                f"which {smaller}fewer processes save; the same command continues"
            )
        )
