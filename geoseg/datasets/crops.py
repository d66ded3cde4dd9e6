"""Which rectangles of a raster become separate files: the whole, patches, or areas of a split.

Areas divide one large raster so that no validation area is the neighbour of a training area.
Neighbouring pixels resemble one another: validated next to its training pixels, a network seems
better than it is.

    training | gap | validation | gap | training
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isqrt
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


_LARGEST_SIDE = 2048
_AREAS = 15
"""Minimum number of areas of an image, so that a fifth of them is at least one."""
_EVERY, _FIRST = 5, 2
"""One of five areas in a row is for validation, each row two further on: a knight's move apart."""


@dataclass(frozen=True, slots=True)
class SpatialSplit:
    """How one raster is divided into areas for training and for validation."""

    side: int | None = None
    """Side of an area, pixels, about; None: at least 15 areas per raster, sides of at most 2048."""
    gap: int = 64
    """Pixels between training and validation areas, used for neither."""

    def __post_init__(self) -> None:
        if self.gap < 0 or (self.side is not None and self.side < 1):
            raise ConfigError(
                f"--block {self.side} --gap {self.gap}: give a side of 1 or more, and a gap of 0 "
                "or more"
            )

    def divide(self, height: int, width: int) -> list[Crop]:
        """Areas of a raster, a fifth of them ``val``; no other comes nearer to those than the gap.

        Raises:
            ConfigError: the raster is one area, or the gaps leave nothing to train on.
        """
        side = self.side or min(_LARGEST_SIDE, max(1, isqrt(height * width // _AREAS)))
        rows, cols = max(1, round(height / side)), max(1, round(width / side))
        if rows * cols < 2:
            raise ConfigError(
                f"--block {side}: {height} x {width} pixels are one block; give a smaller one, or "
                "--split all"
            )
        areas = {
            (row, col): _even_area(height, width, rows, cols, row, col)
            for row in range(rows)
            for col in range(cols)
        }
        chosen = [place for place in areas if (place[1] + 2 * place[0]) % _EVERY == _FIRST]
        chosen = chosen or [(rows - 1, cols - 1)]
        val = [areas[place] for place in chosen]
        cut = [_cut_back(areas[place], val, self.gap) for place in areas if place not in chosen]
        train = [area for area in cut if area is not None]
        if not train:
            raise ConfigError(
                f"--gap {self.gap}: blocks of {side} pixels leave nothing to train on; give a "
                "smaller gap"
            )
        return [_crop("train", area) for area in train] + [_crop("val", area) for area in val]


def _crop(part: str, area: Window) -> Crop:
    return Crop(part, place_suffix(area), area, area.height, area.width)


def _even_area(height: int, width: int, rows: int, cols: int, row: int, col: int) -> Window:
    top, left = row * height // rows, col * width // cols
    return Window(top, left, (row + 1) * height // rows - top, (col + 1) * width // cols - left)


def _cut_back(area: Window, others: list[Window], gap: int) -> Window | None:
    """The area without what lies nearer to the others than the gap; None where nothing is left.

    Each other area costs what lies beyond it on one of four sides, the cheapest one.
    """
    for other in others:
        top, bottom = other.row - gap, other.row_end + gap
        left, right = other.col - gap, other.col_end + gap
        # Below, above, to the right and to the left; all of an area that the gap does not reach.
        cuts = (
            _between(max(bottom, area.row), area.row_end, area.col, area.col_end),
            _between(area.row, min(top, area.row_end), area.col, area.col_end),
            _between(area.row, area.row_end, max(right, area.col), area.col_end),
            _between(area.row, area.row_end, area.col, min(left, area.col_end)),
        )
        kept = [cut for cut in cuts if cut is not None]
        if not kept:
            return None
        area = max(kept, key=lambda cut: cut.height * cut.width)
    return area


def _between(top: int, bottom: int, left: int, right: int) -> Window | None:
    return Window(top, left, bottom - top, right - left) if bottom > top and right > left else None
