"""How a command reports what it is doing, without knowing who listens."""

from __future__ import annotations


class Progress:
    """Listens to a running command; this one is silent."""

    def note(self, line: str) -> None:
        """One line for people: the plan, what is resumed, a step's metrics."""

    def begin(self, name: str, total: int) -> None:
        """A step of `total` units begins."""

    def advance(self, count: int) -> None:
        """`count` units of the step are done."""

    def end(self) -> None:
        """The step is over."""
