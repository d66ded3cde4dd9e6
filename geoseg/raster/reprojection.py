"""A raster on the grid of another one, in whatever coordinate system, made while it is read.

Places are exact at nodes 16 pixels apart and linear between them: less than a thousandth of a pixel
off. The nodes lie on one grid over the raster, so that a pixel is the same, bit for bit, in
whatever window it is read. Pixels are interpolated bilinearly between valid ones; a pixel is valid
where the one that holds its centre is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from geoseg.coordinate_systems import crs_name, horizontal_crs
from geoseg.errors import SourceError
from geoseg.raster.pieces import Pieces, RegriddedReader
from geoseg.raster.read_cost import PIECE_BYTES
from geoseg.raster.reader import Reader
from geoseg.raster.source import Source
from geoseg.tiling import Window

_STEP = 16
"""Pixels from node to node."""
_EDGE_STEPS = 33
"""Points along an edge whose place on the other grid is looked up."""
_COARSER = 1.5
"""Ratio of ground samplings from which means are taken first."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Way:
    """From the pixels of one grid to those of another."""

    transform: Affine
    """Pixel corner to CRS of the grid."""
    crs: CRS
    other_transform: Affine
    other_crs: CRS

    def __call__(self, cols: Floats, rows: Floats) -> tuple[Floats, Floats]:
        """Columns and rows on the other grid; infinite where it has none."""
        x, y = self.transform @ (cols, rows)
        moved = _transformer(self.crs.to_wkt(), self.other_crs.to_wkt()).transform(x, y)
        found = ~self.other_transform @ moved
        return found[0], found[1]


@lru_cache(maxsize=64)
def _transformer(one: str, other: str) -> pyproj.Transformer:
    """The most accurate way that PROJ knows, the same in every process."""
    first, second = (horizontal_crs(pyproj.CRS.from_wkt(wkt)) for wkt in (one, other))
    return pyproj.Transformer.from_crs(first, second, always_xy=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReprojectedSource(Source):
    """A raster on another grid: see `reproject`."""

    below: Source

    @property
    def files(self) -> tuple[Path, ...]:
        """As `Source.files`."""
        return self.below.files

    @property
    def facts(self) -> str:
        """As `Source.facts`."""
        place = (self.height, self.width, tuple(self.transform), str(self.crs))
        return repr((place, self.below.facts))

    def stored(self, value: float) -> float:
        """As `Source.stored`."""
        return self.below.stored(value)

    def _open(self, overview: int | None) -> Reader:  # noqa: ARG002 - it has none
        way = _way(self, self.below)
        reader, striped = self.below.open(), self.below.read_cost.striped
        return ReprojectedReader(reader, self.height, self.width, way, striped=striped)


def _way(source: Source, other: Source) -> Way:
    if source.crs is None or other.crs is None:
        raise SourceError(
            f"{other.path}: has no coordinate system, so that it cannot be resampled; "
            "give it one (a GeoTIFF with CRS, or --crs EPSG:N)"
        )
    return Way(source.transform, source.crs, other.transform, other.crs)


def reproject(source: Source, grid: Source) -> tuple[ReprojectedSource, int, int]:
    """A raster on the grid of another one, as large as it is there.

    Where its pixels are clearly smaller, their means are taken first.

    Returns:
        The raster, and row and column of its corner on the grid.

    Raises:
        SourceError: it does not lie where the grid's coordinate system has a place for it.
    """
    wanted, own = grid.ground_sampling, source.ground_sampling
    if wanted and own and wanted > _COARSER * own:
        source = source.resample(wanted)
    steps = np.linspace(0.0, 1.0, _EDGE_STEPS)
    cols = np.concatenate([steps, steps, steps * 0, steps * 0 + 1]) * source.width
    rows = np.concatenate([steps * 0, steps * 0 + 1, steps, steps]) * source.height
    across, down = _way(source, grid)(cols, rows)
    if not (np.isfinite(across).all() and np.isfinite(down).all()):
        raise SourceError(
            f"{source.path}: reaches beyond what {crs_name(grid.crs)} can show; leave it out, or "
            "give another --crs"
        )
    top, left = int(np.floor(down.min())), int(np.floor(across.min()))
    return (
        ReprojectedSource(
            path=source.path,
            height=int(np.ceil(down.max())) - top,
            width=int(np.ceil(across.max())) - left,
            bands=source.bands,
            dtype=source.dtype,
            transform=grid.transform @ Affine.translation(left, top),
            crs=grid.crs,
            file_bands=source.file_bands,
            bands_chosen=source.bands_chosen,
            below=source,
            read_cost=source.read_cost.beneath(pieces=2),  # of a piece, and below it
            beside=source.beside,
        ),
        top,
        left,
    )


class ReprojectedReader(RegriddedReader):
    """Windows of a raster on another grid.

    Args:
        reader: of the raster; closed with this one.
        height: rows of the grid.
        width: its columns.
        way: from the grid's pixels to those of the raster.
        striped: as of `ReadCost`.
    """

    def __init__(
        self, reader: Reader, height: int, width: int, way: Way, *, striped: bool = False
    ) -> None:
        super().__init__(reader, height, width)
        self._way = way
        # Places and shares are float64.
        held = 22 * 8 + 4 * self._working.itemsize * (self.bands + 1)
        self.pieces = Pieces.of(held, striped * self._row_bytes)
        self._most_below = PIECE_BYTES // self._bytes_below

    def _fill(self, window: Window, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> None:
        cols, rows = self._places(window)
        height, width = self._reader.height, self._reader.width
        inside = (cols >= 0) & (rows >= 0) & (cols < width) & (rows < height)
        if not inside.any():
            return
        left, right = _reach(cols[inside], width)
        top, bottom = _reach(rows[inside], height)
        if (bottom - top) * (right - left) > self._most_below and inside.size > 1:
            del cols, rows
            for half in _halves(window):  # it lies across: what is around it has more pixels
                place = half.slices(window.row, window.col)
                self._fill(half, pixels[:, *place], valid[place])
            return
        below, held = self._reader.read(top, left, bottom - top, right - left)
        rows, cols = np.where(inside, rows - top, 0.0), np.where(inside, cols - left, 0.0)
        values, found = self._interpolated(below, held, rows, cols)
        np.logical_and(inside, found, out=valid)
        np.copyto(pixels, values, where=valid, casting="unsafe")

    def _interpolated(
        self, below: NDArray[Any], valid: NDArray[np.bool_], rows: Floats, cols: Floats
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Pixels at places counted from the first pixel below, and whether they are valid."""
        held = valid[rows.astype(np.int64), cols.astype(np.int64)]
        rows, cols = rows - 0.5, cols - 0.5
        row, col = np.floor(rows).astype(np.int64), np.floor(cols).astype(np.int64)
        values = np.where(valid, below, 0).astype(self._working)
        total = np.zeros(rows.shape, self._working)
        pixels = np.zeros((self.bands, *rows.shape), self._working)
        for down in (0, 1):
            for across in (0, 1):
                share = (1 - np.abs(row + down - rows)) * (1 - np.abs(col + across - cols))
                at = (
                    np.clip(row + down, 0, valid.shape[0] - 1),
                    np.clip(col + across, 0, valid.shape[1] - 1),
                )
                weight = (share * valid[at]).astype(self._working)
                total += weight
                pixels += weight * values[:, *at]
        pixels /= np.where(total > 0, total, 1)
        if np.dtype(self.dtype).kind in "iu":
            np.rint(pixels, out=pixels)
        return pixels, held & (total > 0)

    def _places(self, window: Window) -> tuple[Floats, Floats]:
        """Columns and rows below of the centres of a window's pixels."""
        node_rows = np.arange(window.row // _STEP, (window.row_end - 1) // _STEP + 2)
        node_cols = np.arange(window.col // _STEP, (window.col_end - 1) // _STEP + 2)
        nodes = np.meshgrid(node_cols * _STEP + 0.5, node_rows * _STEP + 0.5)
        found = self._way(nodes[0].ravel(), nodes[1].ravel())
        shape = node_rows.size, node_cols.size
        rows = np.arange(window.row, window.row_end)
        cols = np.arange(window.col, window.col_end)
        row, down = rows // _STEP - node_rows[0], rows % _STEP / _STEP
        col, across = cols // _STEP - node_cols[0], cols % _STEP / _STEP
        return tuple(  # type: ignore[return-value]
            _between_nodes(each.reshape(shape), row, down, col, across) for each in found
        )


def _between_nodes(
    values: Floats, row: NDArray[np.int64], down: Floats, col: NDArray[np.int64], across: Floats
) -> Floats:
    above = values[row] * (1 - down)[:, None] + values[row + 1] * down[:, None]
    found: Floats = above[:, col] * (1 - across) + above[:, col + 1] * across
    return found


def _halves(window: Window) -> tuple[Window, Window]:
    """A window cut across its longer side."""
    row, col, height, width = window.row, window.col, window.height, window.width
    if height > width:
        half = height // 2
        return Window(row, col, half, width), Window(row + half, col, height - half, width)
    half = width // 2
    return Window(row, col, height, half), Window(row, col + half, height, width - half)


def _reach(places: Floats, length: int) -> tuple[int, int]:
    """First and end of the pixels that interpolation between these places takes."""
    first, last = int(np.floor(places.min() - 0.5)), int(np.floor(places.max() - 0.5)) + 1
    return max(0, first), min(length, last + 1)
