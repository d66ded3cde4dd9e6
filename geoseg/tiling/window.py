"""A rectangle of pixels."""

from __future__ import annotations

from dataclasses import dataclass

from geoseg.errors import TilingError


@dataclass(frozen=True, slots=True)
class Window:
    """A non-empty rectangle of pixels, counted from a raster's upper left corner."""

    row: int
    """First row."""
    col: int
    """First column."""
    height: int
    """Rows."""
    width: int
    """Columns."""

    def __post_init__(self) -> None:
        if self.row < 0 or self.col < 0 or self.height < 1 or self.width < 1:
            raise TilingError(
                f"window at row {self.row}, col {self.col} of {self.height} x {self.width} pixels: "
                "starts must be 0 or more, sizes 1 or more"
            )

    @property
    def row_end(self) -> int:
        """One past the last row."""
        return self.row + self.height

    @property
    def col_end(self) -> int:
        """One past the last column."""
        return self.col + self.width

    def intersect(self, other: Window) -> Window | None:
        """The common part of two windows, or None where there is none."""
        row, col = max(self.row, other.row), max(self.col, other.col)
        height = min(self.row_end, other.row_end) - row
        width = min(self.col_end, other.col_end) - col
        return Window(row, col, height, width) if height > 0 and width > 0 else None

    def moved(self, rows: int, cols: int) -> Window:
        """The window so many rows down and columns to the right."""
        return Window(self.row + rows, self.col + cols, self.height, self.width)

    def slices(self, row: int = 0, col: int = 0) -> tuple[slice, slice]:
        """Row and column slices into an array that begins at (`row`, `col`) of the raster."""
        return slice(self.row - row, self.row_end - row), slice(self.col - col, self.col_end - col)
