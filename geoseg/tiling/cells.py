"""The lattice of cells in which a raster is encoded once, whatever its windows are.

An encoder is local: away from the border of what it is shown, its features do not depend on where
that border lies. So cells tile the raster, each is shown with a halo, and only the features of its
core are kept. At the raster's own edge there is no halo, as there was none in training.

    cells (size 6, halo 2) along 16 pixels
    0         1
    0123456789012345
    [----]             core of cell 0, which sees pixels 0 to 7
          [----]       core of cell 1, which sees pixels 4 to 13
                [--]   core of cell 2, which sees pixels 10 to 15
"""

from __future__ import annotations

from dataclasses import dataclass

from geoseg.errors import TilingError


@dataclass(frozen=True, slots=True)
class Cells:
    """Square cells from a raster's upper left corner on; along each axis they are intervals."""

    size: int
    """Side of a cell's core, pixels."""
    halo: int
    """Pixels that are shown on each side of it."""

    def __post_init__(self) -> None:
        if self.size < 1 or self.halo < 0:
            raise TilingError(
                f"cell of {self.size} pixels with a halo of {self.halo}: "
                "use 1 or more, and 0 or more"
            )

    def covering(self, first: int, end: int) -> range:
        """The cells whose cores have any of the pixels from `first` to before `end`."""
        return range(first // self.size, (end - 1) // self.size + 1)

    def core(self, cell: int, length: int) -> tuple[int, int]:
        """First pixel and end of a cell's core, along an axis of so many pixels."""
        return cell * self.size, min(length, (cell + 1) * self.size)

    def seen(self, cell: int, length: int) -> tuple[int, int]:
        """First pixel and end of what is shown of the raster for a cell."""
        first, end = self.core(cell, length)
        return max(0, first - self.halo), min(length, end + self.halo)
