"""Which rectangles of a raster become files of their own: whole tiles or patches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from geoseg.errors import ConfigError
from geoseg.tiling import TileGrid, Window

Edge = Literal["shift", "pad", "drop"]


@dataclass(frozen=True, slots=True)
class Crop:
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
class PatchOptions:
    """How a raster is cut into patches."""

    size: int
    """Side of a patch, pixels."""
    stride: int
    """Pixels from one patch to the next."""
    edge: Edge = "shift"
    """A last patch beyond the raster: `shift` it, `pad` it with unlabelled zeros, or `drop` it."""

    def __post_init__(self) -> None:
        if self.size < 1 or not 1 <= self.stride <= self.size:
            raise ConfigError(
                f"--patch {self.size} --stride {self.stride}: give a side of 1 or more, and a "
                "stride of 1 up to it"
            )
        if self.edge not in get_args(Edge):
            raise ConfigError(
                f"--edge {self.edge}: there is no such rule; choose {', '.join(get_args(Edge))}"
            )


def whole_raster(part: str, height: int, width: int) -> Crop:
    """The raster as one file."""
    return Crop(part, "", Window(0, 0, height, width), height, width)


def cut_patches(crop: Crop, options: PatchOptions) -> list[Crop]:
    """The patches of a rectangle, row by row; names carry their first row and column in the raster.

    A rectangle smaller than a patch stays as it is, is padded, or is dropped, as the rule says.
    """
    area, size = crop.window, options.size
    grid = TileGrid(area.height, area.width, size, size - options.stride)
    patches = []
    for row in _starts(grid.row_starts, area.height, options):
        for col in _starts(grid.col_starts, area.width, options):
            height, width = min(size, area.height - row), min(size, area.width - col)
            window = Window(area.row + row, area.col + col, height, width)
            if options.edge == "pad":
                height = width = size
            patches.append(Crop(crop.part, place_suffix(window), window, height, width))
    return patches


def place_suffix(window: Window) -> str:
    """What a file's name says of its place in the raster: the first row and column."""
    return f"_{window.row:05}_{window.col:05}"


def _starts(shifted: tuple[int, ...], length: int, options: PatchOptions) -> Iterator[int]:
    """First rows (or columns) of the patches; `shifted` has the last one slid inward."""
    for index, start in enumerate(shifted):
        unmoved = index * options.stride
        if options.edge == "shift":
            yield start
        elif options.edge == "pad" or unmoved + options.size <= length:
            yield unmoved
