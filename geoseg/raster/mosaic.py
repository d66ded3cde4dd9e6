"""Adjoining sheets as one raster: windows see across their borders.

Sheets lie on one grid. Where they overlap, a pixel is that of the first sheet in which it is
valid; where none is, it is no data. Which sheets a window meets is looked up in a tree.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from geoseg.errors import ConfigError, SheetError, SourceError
from geoseg.geodesy import same_crs
from geoseg.raster.alignment import describe_grid
from geoseg.raster.dates import date_of
from geoseg.raster.file_source import open_raster
from geoseg.raster.reader import Reader
from geoseg.raster.seen import SeenSources
from geoseg.raster.source import Source
from geoseg.tiling import Window

OverlapRule = Literal["first", "newest", "finest"]
OVERLAP_RULES: tuple[OverlapRule, ...] = ("first", "newest", "finest")
_SNAPPED = 0.1
"""Pixels by which a sheet may lie off the grid: it is moved onto it."""
_MOST_OPEN = 64
"""Sheets that a reader keeps open."""


class Sheet(NamedTuple):
    """A raster and where it lies in a mosaic."""

    source: Source
    row: int
    """Of its upper left corner, pixels of the mosaic."""
    col: int

    @property
    def window(self) -> Window:
        """What it covers."""
        return Window(self.row, self.col, self.source.height, self.source.width)


@dataclass(frozen=True, slots=True, kw_only=True)
class MosaicSource(Source):
    """Sheets on one grid."""

    sheets: tuple[Sheet, ...]
    """The first one that has a valid pixel gives it."""

    @property
    def files(self) -> tuple[Path, ...]:
        """As `Source.files`."""
        return tuple(file for sheet in self.sheets for file in sheet.source.files)

    def see(self) -> SeenSources:
        """As `Source.see`."""
        facts = [(sheet.row, sheet.col, sheet.source.facts) for sheet in self.sheets]
        return SeenSources.at(self.path, self.files, repr((self.height, self.width, facts)))

    def without(self, sheet: Path) -> MosaicSource:
        """The same raster with no data where this sheet alone is.

        Raises:
            SourceError: it is the last one.
        """
        left = tuple(each for each in self.sheets if each.source.path != sheet)
        if not left:
            raise SourceError(f"{self.path}: none of its sheets can be read; check them")
        return replace(self, sheets=left)

    def _open(self, overview: int | None) -> Reader:  # noqa: ARG002 - a mosaic has none
        return MosaicReader(self)


class MosaicReader(Reader):
    """Windows of a mosaic; sheets are opened when a window first meets them.

    Args:
        mosaic: the raster.
    """

    def __init__(self, mosaic: MosaicSource) -> None:
        self.path, self.height, self.width = mosaic.path, mosaic.height, mosaic.width
        self.bands, self.dtype = len(mosaic.bands), mosaic.dtype
        self._sheets = mosaic.sheets
        corners = np.array([(s.col, s.row, s.source.width, s.source.height) for s in self._sheets])
        left, top, width, height = corners.T
        self._tree = shapely.STRtree(shapely.box(left, top, left + width, top + height))
        self._readers: OrderedDict[int, Reader] = OrderedDict()

    def close(self) -> None:
        """Close all sheets."""
        while self._readers:
            self._readers.popitem()[1].close()

    def _read(
        self, window: Window, out: NDArray[Any] | None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        shape = window.height, window.width
        pixels = np.empty((self.bands, *shape), self.dtype) if out is None else out
        pixels.fill(0)
        valid = np.zeros(shape, np.bool_)
        box = shapely.box(window.col, window.row, window.col_end, window.row_end)
        for number in np.sort(self._tree.query(box)).tolist():
            common = self._sheets[number].window.intersect(window)
            if common is None:  # they only touch
                continue
            rows, cols = common.slices(window.row, window.col)
            missing = ~valid[rows, cols]
            if missing.any():
                found, found_valid = self._read_sheet(number, common)
                new = missing & found_valid
                np.copyto(pixels[:, rows, cols], found, where=new)
                valid[rows, cols] |= new
        return pixels, valid

    def _read_sheet(self, number: int, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        sheet = self._sheets[number]
        row, col = window.row - sheet.row, window.col - sheet.col
        try:
            if number not in self._readers:
                if len(self._readers) == _MOST_OPEN:
                    self._readers.popitem(last=False)[1].close()
                self._readers[number] = sheet.source.open()
            self._readers.move_to_end(number)
            return self._readers[number].read(row, col, window.height, window.width)
        except SourceError as error:
            raise SheetError(str(error), str(sheet.source.path)) from error


def open_mosaic(
    paths: Iterable[str | Path],
    *,
    bands: Sequence[int | str] | None = None,
    nodata: float | Sequence[float] | None = None,
    crs: str | CRS | None = None,
    overlap_rule: OverlapRule = "first",
) -> MosaicSource:
    """Adjoining rasters as one; nothing is decoded.

    Args:
        paths: files that GDAL reads.
        bands: as of `open_raster`, of each.
        nodata: likewise.
        crs: likewise.
        overlap_rule: which of two sheets is on top: the ``first`` by path, the ``newest`` by date,
            or the ``finest`` by ground sampling; of equal ones the first by path.

    Raises:
        SourceError: one of them cannot be read, or does not lie on the grid of the others.
        ConfigError: no path is given, or the rule is none of these.
    """
    sources = [open_raster(path, bands=bands, nodata=nodata, crs=crs) for path in paths]
    if not sources:
        raise ConfigError("open_mosaic: no path is given; name the sheets")
    mosaic, misfits = make_mosaic(
        common_folder([each.path for each in sources]), sources, overlap_rule
    )
    for line in misfits.values():
        raise SourceError(line)
    return mosaic


def make_mosaic(
    path: Path, sources: Iterable[Source], overlap_rule: OverlapRule = "first"
) -> tuple[MosaicSource, dict[Path, str]]:
    """Open rasters as one.

    Args:
        path: by which it is known.
        sources: in any order.
        overlap_rule: see `open_mosaic`.

    Returns:
        The mosaic, and by their paths why other rasters are no sheets of it.

    Raises:
        ConfigError: the rule is unknown.
    """
    if overlap_rule not in OVERLAP_RULES:
        raise ConfigError(f"overlap_rule {overlap_rule!r}: use {', '.join(OVERLAP_RULES)}")
    first, *others = sorted(sources, key=lambda source: str(source.path))
    misfits = {other.path: line for other in others if (line := _misfit(other, first))}
    members = [first, *(_alike(each, first) for each in others if each.path not in misfits)]
    places = [_place(each, first) for each in members]
    top, left = (min(axis) for axis in zip(*places, strict=True))
    sheets = [
        Sheet(each, row - top, col - left) for each, (row, col) in zip(members, places, strict=True)
    ]
    corner = next((each for each in sheets if (each.row, each.col) == (0, 0)), None)
    shift = Affine.translation(left, top)
    return MosaicSource(
        path=path,
        height=max(sheet.window.row_end for sheet in sheets),
        width=max(sheet.window.col_end for sheet in sheets),
        bands=tuple(range(1, len(first.bands) + 1)),
        dtype=first.dtype,
        # Of a sheet that begins there exactly, as rounding leaves traces.
        transform=first.transform * shift if corner is None else corner.source.transform,
        crs=first.crs,
        file_bands=tuple(first.file_bands[band - 1] for band in first.bands),
        bands_chosen=first.bands_chosen,
        sheets=tuple(sorted(sheets, key=partial(_rank, rule=overlap_rule))),
        block_bytes=max(sheet.source.block_bytes for sheet in sheets),
    ), misfits


def _alike(source: Source, first: Source) -> Source:
    """A sheet that shares what it has in common with the first one: there may be thousands."""
    alike = source.file_bands == first.file_bands
    bands = first.file_bands if alike else source.file_bands
    return replace(source, crs=first.crs, file_bands=bands)


def _rank(sheet: Sheet, rule: OverlapRule) -> tuple[float, str]:
    """Lowest on top."""
    source = sheet.source
    if rule == "newest":
        return -date_of(source.path), str(source.path)
    if rule == "finest":
        return source.ground_sampling or math.inf, str(source.path)
    return 0.0, str(source.path)


def _place(source: Source, reference: Source) -> tuple[int, int]:
    """Row and column of its corner on the grid of the reference."""
    col, row = ~reference.transform * (source.transform * (0, 0))
    return round(row), round(col)


def _misfit(source: Source, reference: Source) -> str:
    """Why a raster is no sheet beside another; empty where it is."""
    if not (source.georeferenced and reference.georeferenced):
        return f"{source.path}: {describe_grid(source)} is no sheet of a mosaic; give it a place"
    both = (
        f"{source.path}: {describe_grid(source)}, and {reference.path} {describe_grid(reference)}"
    )
    one, other = source.crs, reference.crs
    if (one is None) != (other is None) or (one and other and not same_crs(one, other)):
        return f"{both}; sheets have one coordinate system: warp it first"
    row, col = _place(source, reference)
    expected = reference.transform * Affine.translation(col, row)
    corners = [(0, 0), (source.width, 0), (0, source.height), (source.width, source.height)]
    moved = [~expected * (source.transform * corner) for corner in corners]
    if np.abs(np.subtract(moved, corners)).max() > _SNAPPED:
        return f"{both}; sheets lie on one grid, to a tenth of a pixel: warp it first"
    if (source.dtype, len(source.bands)) != (reference.dtype, len(reference.bands)):
        return (
            f"{source.path}: {len(source.bands)} bands of {source.dtype}, and {reference.path} "
            f"{len(reference.bands)} of {reference.dtype}; sheets have the same: convert it first"
        )
    return ""


def common_folder(paths: Sequence[Path]) -> Path:
    """The folder that holds some files, at whatever depth."""
    parents = {path.parent for path in paths}
    while len(parents) > 1:
        deepest = max(len(each.parts) for each in parents)
        parents = {each.parent if len(each.parts) == deepest else each for each in parents}
    return parents.pop()
