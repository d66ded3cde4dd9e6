"""How much of a run is in memory at once. No pixel depends on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from geoseg.inference.areas import AREA_PIXELS
from geoseg.report import counted

_SMALL_AREA = 2**22
"""Pixels of the least areas: two thousand squared."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What is in memory at once."""

    threads: int = 1
    """Files that a process makes at once, and parts whose polygons a task makes."""
    workers: int = 0
    """Worker processes; 0: threads in this one."""
    beside: bool = True
    """Whether files of one raster are made while the network runs for the next."""
    begun: bool = True
    """Whether those of a single one are begun before its last window, which takes the memory of
    both at once."""
    widest: int | None = None
    """Pixels of a block across; None: as many as `TileGrid.blocks` allows."""
    area: int | None = None
    """Pixels whose polygons a task makes at most, unless a part has more; None: `AREA_PIXELS`."""

    def tighter(self, width: int, narrowest: int) -> Iterator[Choice]:
        """This one and others that take ever less memory; what costs the least time goes first.

        Args:
            width: of the widest block, pixels.
            narrowest: that a block may become.
        """
        yield self
        late = replace(self, begun=False)
        if self.begun:
            yield late
        area = AREA_PIXELS
        while area > _SMALL_AREA:
            area //= 2
            yield replace(late, area=area)
        alone = replace(late, area=area, threads=1, beside=False)
        yield alone
        while width > narrowest:
            width = max(narrowest, width * 3 // 4)
            yield replace(alone, widest=width)

    def lines(self, most: int, first: Choice) -> list[str]:
        """What was given up to stay below so many bytes, in a line; none where nothing was.

        Args:
            most: bytes.
            first: what would have been chosen with any memory.
        """
        given_up = []
        if self.workers < first.workers:
            given_up.append(f"{self.workers} of {counted(first.workers, 'worker')}")
        if self.widest is not None:
            given_up.append(f"blocks of {self.widest} px")
        if self.area is not None:
            given_up.append(f"polygons of {self.area / 1e6:.0f} Mpx at once")
        if not self.beside:
            given_up.append("one thing at a time")
        elif first.begun and not self.begun:
            given_up.append("files after the last window")
        if not given_up:
            return []
        return [f"      to stay within {most / 2**30:.1f} GiB: {', '.join(given_up)}"]
