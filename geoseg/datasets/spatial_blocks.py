"""One large raster divided into blocks, so that what is validated on is no neighbour of what is learnt from.

Neighbouring pixels resemble one another: a network judged beside what it has learnt is judged too well.

    learnt from      | gap | validated on | gap |   learnt from
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

from geoseg.datasets.patches import Piece, place_of
from geoseg.errors import ConfigError
from geoseg.tiling import Window

_LARGEST_BLOCK = 2048
_BLOCKS = 15
"""So many blocks an image has at least, so that a fifth of them are some."""
_SHARE, _FIRST = 5, 2
"""Of each five blocks in a row one is validated on, each row two further on: a knight's move apart, spread evenly."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """How one raster is divided so that what is validated on is no neighbour of what is learnt from."""

    side: int | None = None
    """About so many pixels a block; None: at least 15 blocks a raster, of at most 2048."""
    gap: int = 64
    """Pixels between what is learnt from and what is validated on, used for neither."""

    def __post_init__(self) -> None:
        if self.gap < 0 or (self.side is not None and self.side < 1):
            raise ConfigError(
                f"--block {self.side} --gap {self.gap}: give a side of 1 or more, and a gap of 0 or more"
            )


def split_blocks(height: int, width: int, blocks: Blocks) -> list[Piece]:
    """Blocks of a raster, a fifth of them to validate on; no other comes nearer to those than the gap.

    Raises:
        ConfigError: the raster is one block, or the gaps leave nothing to learn from.
    """
    side = blocks.side or min(_LARGEST_BLOCK, max(1, isqrt(height * width // _BLOCKS)))
    rows, cols = max(1, round(height / side)), max(1, round(width / side))
    places = [(row, col) for row in range(rows) for col in range(cols)]
    if len(places) < 2:
        raise ConfigError(
            f"--block {side}: {height} x {width} pixels are one block; give a smaller one, or --split all"
        )
    chosen = [(row, col) for row, col in places if (col + 2 * row) % _SHARE == _FIRST] or places[
        -1:
    ]
    areas = {(row, col): _area(height, width, rows, cols, row, col) for row, col in places}
    val = [areas[place] for place in chosen]
    train = [_apart(areas[place], val, blocks.gap) for place in places if place not in chosen]
    left = [area for area in train if area is not None]
    if not left:
        raise ConfigError(
            f"--gap {blocks.gap}: blocks of {side} pixels leave nothing to learn from; give a smaller gap"
        )
    return [
        Piece(part, place_of(area), area, area.height, area.width)
        for part, part_areas in (("train", left), ("val", val))
        for area in part_areas
    ]


def _area(height: int, width: int, rows: int, cols: int, row: int, col: int) -> Window:
    """One block of the raster divided evenly."""
    top, left = row * height // rows, col * width // cols
    return Window(top, left, (row + 1) * height // rows - top, (col + 1) * width // cols - left)


def _apart(block: Window, others: list[Window], gap: int) -> Window | None:
    """The area cut back from the others by the gap, on the side where that costs least; None where nothing is left."""
    area: Window | None = block
    for other in others:
        if area is None:
            return None
        top, bottom, left, right = (
            other.row - gap,
            other.row_end + gap,
            other.col - gap,
            other.col_end + gap,
        )
        if bottom <= area.row or top >= area.row_end or right <= area.col or left >= area.col_end:
            continue
        cuts = (
            _between(bottom, area.row_end, area.col, area.col_end),
            _between(area.row, top, area.col, area.col_end),
            _between(area.row, area.row_end, right, area.col_end),
            _between(area.row, area.row_end, area.col, left),
        )
        area = max(
            (cut for cut in cuts if cut), key=lambda cut: cut.height * cut.width, default=None
        )
    return area


def _between(top: int, bottom: int, left: int, right: int) -> Window | None:
    return Window(top, left, bottom - top, right - left) if bottom > top and right > left else None
