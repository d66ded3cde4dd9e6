"""What happens to label values and colours that no class has.

=====================  ========================================================================
train, evaluate        refuse: labels are complete or they are wrong, so the first rows with an
                       unknown value end the file
prepare                count: pixels of unknown values become unlabelled and are reported, up to
                       1 % of a file; more of them, or too many distinct ones, refuse the file
=====================  ========================================================================
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from geoseg.errors import SourceError

Policy = Literal["refuse", "count"]

_TOLERATED = 0.01
"""Share of a file's pixels. More are labels of something else, not slips of a brush."""
_MOST_DISTINCT = 1000
"""Distinct colours or values. More of them are an image, whatever a classes file says."""
_SHOWN = 3


@dataclass(slots=True)
class UnknownValues:
    """Pixels of one label raster whose values or colours no class has."""

    path: Path
    kind: str
    """``value`` or ``colour``."""
    known: str
    """The values or colours of the classes, for a message."""
    policy: Policy
    counts: Counter[str] = field(default_factory=Counter)
    """Pixels by value or colour."""
    pixels_read: int = 0

    def add(self, counts: Mapping[str, int], row: int, height: int, width: int) -> None:
        """Take note of the unknown pixels of a window.

        Raises:
            SourceError: there are some, and the policy is to refuse.
        """
        if counts and self.policy == "refuse":
            rows = f"rows {row} to {row + height - 1}"
            raise SourceError(self._refusal(f"{self.path}: {rows} hold", counts))
        self.counts.update(counts)
        self.pixels_read += height * width

    def warning(self) -> str | None:
        """A line about all unknown pixels of the file; None where there are none.

        Raises:
            SourceError: there are too many to leave them unlabelled.
        """
        if not self.counts:
            return None
        if len(self.counts) > _MOST_DISTINCT:
            raise SourceError(
                f"{self.path}: holds {len(self.counts):,} {self.kind}s that no class has, as an "
                "image does; give its labels"
            )
        if self.counts.total() > _TOLERATED * self.pixels_read:
            raise SourceError(self._refusal(f"{self.path}:", self.counts))
        return (
            f"{self.path}: {self.kind} {_most_frequent(self.counts)} belongs to no class; "
            "these pixels are left unlabelled"
        )

    def _refusal(self, start: str, counts: Mapping[str, int]) -> str:
        return (
            f"{start} {self.kind} {_most_frequent(counts)}, which no class has and which is not "
            f"ignored; the classes have {self.known}: add it to the classes or to ignore, or "
            "correct the labels"
        )


def _most_frequent(counts: Mapping[str, int]) -> str:
    order = sorted(counts, key=lambda name: -counts[name])
    shown = ", ".join(f"{name} ({counts[name]:,} pixels)" for name in order[:_SHOWN])
    return shown + (f" and {len(order) - _SHOWN} more" if len(order) > _SHOWN else "")
