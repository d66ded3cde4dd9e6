"""One global lattice of windows over a raster, and the blocks that are cut from it.

A network with global context answers differently when its window moves. So the windows of a raster
are fixed once, from its upper left corner, and a block, the unit of work, never moves one: it runs
the windows that touch it.

    lattice (window 6, overlap 2, stride 4) on 17 columns: starts 0, 4, 8, 11 (the last slid in)
    0         1
    01234567890123456
    [----]
        [----]
            [----]
               [----]
    blend: bands 0-3, 4-7, 8-10, 11-16: what each row of windows finishes
    crop:  bands 0-4, 5-8, 9-12, 13-16: what each window owns, its centre being the nearest

Where windows are cut from maps that they share, they start at multiples of the pixels from one
position of the maps to the next. The last then begins before it would reach beyond the raster by
as many pixels, and is cut off at its edge.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from math import ceil
from typing import Any, Literal

from geoseg.errors import TilingError
from geoseg.tiling.axis import owned_edges, seams_of, starts_of
from geoseg.tiling.cells import Cells
from geoseg.tiling.cutting import Lattice, best_cut, between, cells_in, divided, fitting, snapped
from geoseg.tiling.window import Window

Stitch = Literal["blend", "crop"]


@dataclass(frozen=True)
class TileGrid:
    """The lattice of windows over one raster."""

    height: int
    """Raster rows."""
    width: int
    """Raster columns."""
    window: int
    """Side of the square windows, pixels; where the raster is smaller, so are they."""
    overlap: int
    """Pixels that neighbouring windows share, 0 to window - 1 (more at the raster's far edges)."""
    stitch: Stitch = "blend"
    """How windows become one raster: weighted sums, or each pixel from the window of the nearest
    centre."""
    multiple: int = 1
    """Windows start at multiples of it, and have sides that are."""
    cells: Cells | None = None
    """In what the raster is encoded, once for all windows; None: each window by itself."""

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise TilingError(
                f"raster of {self.height} x {self.width} pixels is empty; "
                "nothing to cut into windows"
            )
        if self.window < 1:
            raise TilingError(f"window={self.window} pixels; use 1 or more (512 is usual)")
        if not 0 <= self.overlap < self.window:
            raise TilingError(
                f"overlap={self.overlap} does not fit window={self.window}; "
                f"use 0 to {self.window - 1}"
            )
        if self.stitch not in ("blend", "crop"):
            raise TilingError(f"stitch={self.stitch!r} is unknown; use 'blend' or 'crop'")
        if self.window % self.multiple or self.stride % self.multiple:
            window = ceil(self.window / self.multiple) * self.multiple
            overlap = min(self.overlap // self.multiple * self.multiple, window - self.multiple)
            raise TilingError(
                f"window={self.window} and overlap={self.overlap} are not multiples of the "
                f"network's stride {self.multiple}; use {window} and {overlap}"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled, it is its fields: what is derived from them takes far more room."""
        return TileGrid, tuple(getattr(self, field.name) for field in fields(self))

    @property
    def stride(self) -> int:
        """Pixels from one window to the next."""
        return self.window - self.overlap

    @property
    def reach(self) -> int:
        """Pixels around a pixel that may decide its class, on each side."""
        return self.window + (0 if self.cells is None else self.cells.size + self.cells.halo)

    @cached_property
    def row_starts(self) -> tuple[int, ...]:
        """First row of each lattice row."""
        return starts_of(self.height, self.window, self.stride, self.multiple)

    @cached_property
    def col_starts(self) -> tuple[int, ...]:
        """First column of each lattice column."""
        return starts_of(self.width, self.window, self.stride, self.multiple)

    @cached_property
    def row_edges(self) -> tuple[int, ...]:
        """Lattice row i finishes the rows ``row_edges[i]`` to ``row_edges[i + 1] - 1``."""
        return self._edges(self.row_starts, self.height)

    @cached_property
    def col_edges(self) -> tuple[int, ...]:
        """The same for columns; with `crop`, the columns that each lattice column owns."""
        return self._edges(self.col_starts, self.width)

    def __len__(self) -> int:
        """How many windows the lattice has."""
        return len(self.row_starts) * len(self.col_starts)

    def window_at(self, lattice_row: int, lattice_col: int) -> Window:
        """The part of one window that lies inside the raster."""
        row, col = self.row_starts[lattice_row], self.col_starts[lattice_col]
        return Window(
            row,
            col,
            min(self.window, self.height - row),
            min(self.window, self.width - col),
        )

    def blocks(
        self,
        block: int | Literal["auto"] = "auto",
        *,
        classes: int = 1,
        area: Window | None = None,
        widest: int | None = None,
    ) -> list[Block]:
        """The raster, or a rectangle of it, cut into units of work, row-major.

        Args:
            block: side of square blocks in pixels (in `crop` moved to the nearest ownership lines),
                or ``auto``: full-height strips as wide as keeps ``classes * window * width * 4``
                bytes within 128 MiB, never narrower than 4,096 pixels.
            classes: channels of the accumulator.
            area: what the blocks cover; None: the raster.
            widest: pixels of a strip across at most; None: as said of ``auto``.

        Raises:
            TilingError: `block` is below 1.
        """
        area = area or Window(0, 0, self.height, self.width)
        if block == "auto":
            widest = widest or self.widest_strip(classes)
            rows = [area.row, area.row_end]
            cols = divided(area.col, area.width, ceil(area.width / widest))
        elif block < 1:
            raise TilingError(f"block={block} pixels; use 1 or more, or 'auto'")
        else:
            rows = [*range(area.row, area.row_end, block), area.row_end]
            cols = [*range(area.col, area.col_end, block), area.col_end]
        if self.stitch == "crop" or block == "auto":
            # In `blend` a strip that begins where a window does shares the fewest windows with its
            # neighbour.
            rows, cols = self._snapped(rows, cols)
        return self._cut(rows, cols)

    def widest_strip(self, classes: int, map_bytes: float = 0.0) -> int:
        """Pixels across that keep a block small, or cost few seams.

        Args:
            classes: channels of the accumulator.
            map_bytes: of the maps that windows share, a pixel.
        """
        rows = 0 if self.cells is None else self.window + self.cells.size
        return fitting(4 * classes * self.window, map_bytes * rows)

    def small_blocks(
        self,
        forwards: int,
        *,
        classes: int = 1,
        area: Window | None = None,
        widest: int | None = None,
    ) -> list[Block]:
        """The raster, or a rectangle of it, cut for many processes: into blocks of few windows.

        As far as seams cost little, in windows and in cells; then as small as that allows.

        Args:
            forwards: windows that a block should take at most.
            classes: channels of the accumulator, which bounds a block's width as in `blocks`.
            area: what the blocks cover; None: the raster.
            widest: pixels of a block across at most; None: as in `blocks`.
        """
        area = area or Window(0, 0, self.height, self.width)
        widest = widest or self.widest_strip(classes)
        whole = Block(self, area)
        windows = Lattice(len(whole.lattice_rows), len(whole.lattice_cols), self._reach)
        both = self._reach * self.stride + self.overlap  # that windows on both sides of a cut see
        cells = cells_in(self.cells, area, both)
        down, across = best_cut(windows, cells, ceil(area.width / widest), forwards)
        tops = divided(area.row, area.height, down)
        lefts = divided(area.col, area.width, across)
        return self._cut(*self._snapped(tops, lefts))

    def _snapped(self, rows: list[int], cols: list[int]) -> tuple[list[int], list[int]]:
        """Borders of blocks where the fewest windows and cells are run on both sides."""
        what = self.window, self._reach, self.cells
        row_seams = seams_of(self.row_starts, self.row_edges, *what)
        col_seams = seams_of(self.col_starts, self.col_edges, *what)
        return snapped(rows, row_seams), snapped(cols, col_seams)

    def _cut(self, rows: Sequence[int], cols: Sequence[int]) -> list[Block]:
        return [
            Block(self, Window(top, left, bottom - top, right - left))
            for top, bottom in itertools.pairwise(rows)
            for left, right in itertools.pairwise(cols)
        ]

    @property
    def _reach(self) -> int:
        """Lattice rows, or columns, of a neighbour whose windows reach into a block."""
        return 0 if self.stitch == "crop" else ceil(self.window / self.stride) - 1

    def _edges(self, starts: tuple[int, ...], length: int) -> tuple[int, ...]:
        if self.stitch == "blend":
            return (*starts, length)
        return owned_edges(starts, length, self.window)


@dataclass(frozen=True)
class Block:
    """A rectangle of the raster that is predicted in one go, and the windows that this takes."""

    grid: TileGrid
    area: Window

    @cached_property
    def lattice_rows(self) -> range:
        """Lattice rows whose windows are needed for the area."""
        return self._needed(
            self.grid.row_starts, self.grid.row_edges, self.area.row, self.area.row_end
        )

    @cached_property
    def lattice_cols(self) -> range:
        """Lattice columns whose windows are needed for the area."""
        return self._needed(
            self.grid.col_starts, self.grid.col_edges, self.area.col, self.area.col_end
        )

    @cached_property
    def band_rows(self) -> range:
        """Lattice rows that finish something of the area; their bands tile it."""
        return between(self.grid.row_edges, self.area.row, self.area.row_end)

    def band(self, lattice_row: int) -> Window:
        """What one of the `band_rows` finishes of the area."""
        edges = self.grid.row_edges
        top, bottom = (
            max(edges[lattice_row], self.area.row),
            min(edges[lattice_row + 1], self.area.row_end),
        )
        return Window(top, self.area.col, bottom - top, self.area.width)

    def bands(self) -> Iterator[tuple[int, Window]]:
        """``(lattice row, band)`` from top to bottom; the bands tile the area."""
        for lattice_row in self.band_rows:
            yield lattice_row, self.band(lattice_row)

    @property
    def tallest_band(self) -> int:
        """Rows of the highest band."""
        edges = [*self.band_tops, self.area.row_end]
        return max(end - start for start, end in itertools.pairwise(edges))

    @property
    def band_tops(self) -> list[int]:
        """First row of each band, from top to bottom."""
        rows = self.band_rows
        return [self.area.row, *self.grid.row_edges[rows.start + 1 : rows.stop]]

    def rows_for(self, band: Window) -> range:
        """Lattice rows that contribute to `band`, top to bottom."""
        return self._needed(self.grid.row_starts, self.grid.row_edges, band.row, band.row_end)

    def _needed(
        self, starts: tuple[int, ...], edges: tuple[int, ...], first: int, end: int
    ) -> range:
        if self.grid.stitch == "crop":
            return between(edges, first, end)
        return range(bisect_right(starts, first - self.grid.window), bisect_left(starts, end))
