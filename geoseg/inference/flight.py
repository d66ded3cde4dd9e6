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
        sheet, *rest = self.task.arguments or (None,)
        folder = getattr(sheet, "folder", None)
        source = getattr(folder, "source", None)
        if source is None:
            return self.task.function.__name__
        number = f"block {rest[0]}" if self.lane == "forward" else self.task.function.__name__
        return f"{source.path}: {number}"

    def give_up(self) -> None:
        """Fail: too many workers died while they ran it."""
        self.done.set_exception(
            SourceError(
                f"{self.subject}: {DEATHS} workers died while they ran it "
                f"({', '.join(self.begun[:DEATHS])}); their logs say why: often it is memory, "
                "which a smaller --window, --batch or fewer processes save"
            )
        )
