"""Which rectangles of a raster become files of their own: whole tiles or patches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from geoseg.errors import ConfigError
from geoseg.tiling import TileGrid, Window

Edge = Literal["shift", "pad", "drop"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A rectangle of a raster, and the file that it becomes."""

    part: str
    """``train``, ``val`` or ``test``."""
    suffix: str
    """What the file's name adds to the tile's."""
    window: Window
    """Where it lies in the raster."""
    height: int
    """Rows of the file: more than the window's where it is padded at the bottom."""
    width: int
    """Columns, likewise to the right."""


@dataclass(frozen=True, slots=True)
class Patching:
    """How a raster is cut into patches."""

    size: int
    """Side of a patch, pixels."""
    stride: int
    """Pixels from one patch to the next."""
    edge: Edge = "shift"
    """What does not fill a last patch: `shift` it inward, `pad` it with unlabelled zeros, or `drop` it."""

    def __post_init__(self) -> None:
        if self.size < 1 or not 1 <= self.stride <= self.size:
            raise ConfigError(
                f"--patch {self.size} --stride {self.stride}: give a side of 1 or more, and a stride of 1 up to it"
            )
        if self.edge not in get_args(Edge):
            raise ConfigError(
                f"--edge {self.edge}: there is no such rule; choose {', '.join(get_args(Edge))}"
            )


def whole(part: str, height: int, width: int) -> list[Piece]:
    """The raster as one file."""
    return [Piece(part, "", Window(0, 0, height, width), height, width)]


def cut_patches(piece: Piece, patching: Patching) -> list[Piece]:
    """The patches of a piece, row by row; names carry their first row and column in the raster.

    A piece that is smaller than a patch stays as it is, is padded, or is dropped, as the rule says.
    """
    area = piece.window
    grid = TileGrid(area.height, area.width, patching.size, patching.size - patching.stride)
    rows, cols = (
        list(_starts(starts, length, patching))
        for starts, length in ((grid.row_starts, area.height), (grid.col_starts, area.width))
    )
    pieces = []
    for row in rows:
        for col in cols:
            height, width = (
                min(patching.size, area.height - row),
                min(patching.size, area.width - col),
            )
            window = Window(area.row + row, area.col + col, height, width)
            side = patching.size if patching.edge == "pad" else None
            pieces.append(
                Piece(piece.part, place_of(window), window, side or height, side or width)
            )
    return pieces


def _starts(shifted: tuple[int, ...], length: int, patching: Patching) -> Iterator[int]:
    """First rows (or columns) of the patches; `shifted` has the last one slid inward."""
    for index, start in enumerate(shifted):
        unmoved = index * patching.stride
        if patching.edge == "shift":
            yield start
        elif patching.edge == "pad" or unmoved + patching.size <= length:
            yield unmoved


def place_of(window: Window) -> str:
    """What a file's name says of where it is from: the first row and column."""
    return f"_{window.row:05}_{window.col:05}"
