"""What reading a raster holds in memory besides the pixels that are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

PIECE_BYTES = 16 * 2**20
"""What is held for a piece of a raster that is made of others, whatever the window."""


class ReadCost(NamedTuple):
    """Bytes, and how files are decoded."""

    block_bytes: int = 0
    """Of a file's strips or tiles: GDAL decodes a whole one, however little of it is read."""
    striped: bool = False
    """Whether rows are decoded as wide as a file is."""
    working_bytes: int = 0
    """Of pieces that are made of other rasters, and of further files that are open."""

    def beneath(self, pieces: int = 1) -> ReadCost:
        """That of a raster that is made of this one, with so many pieces at hand."""
        return self._replace(working_bytes=self.working_bytes + pieces * PIECE_BYTES)

    @classmethod
    def of_several(cls, costs: Iterable[ReadCost], most_open: int) -> ReadCost:
        """That of a raster that is made of several, of which so many are open at once."""
        every = list(costs)
        # Of each open file GDAL holds a block as it is stored, and decoded.
        block = max(cost.block_bytes for cost in every)
        others = min(len(every), most_open) - 1
        return cls(
            block,
            any(cost.striped for cost in every),
            max(cost.working_bytes for cost in every) + PIECE_BYTES + others * 2 * block,
        )


NO_COST = ReadCost()
"""That of an array."""
