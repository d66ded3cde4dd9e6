"""From rasters to the sheets of a mosaic: on one grid, in the order in which they count."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from affine import Affine
from rasterio.crs import CRS

from geoseg.coordinate_systems import crs_name, same_crs
from geoseg.errors import ConfigError, SourceError
from geoseg.given import given_paths
from geoseg.raster.alignment import describe_grid
from geoseg.raster.dates import date_of
from geoseg.raster.file_source import open_raster
from geoseg.raster.mosaic import MosaicSource, Sheet, mosaic_cost
from geoseg.raster.reprojection import ReprojectedSource, reproject
from geoseg.raster.source import Source
from geoseg.report import counted

OverlapRule = Literal["first", "newest", "finest"]
OVERLAP_RULES: tuple[OverlapRule, ...] = ("first", "newest", "finest")
_ANYWHERE = "mosaic"
_REMEDY = "--resample brings it there"
_LEAST_COVER = 0.01
"""Of the rectangle of a mosaic that sheets mostly cover; even a river's do."""
_SNAPPED = 0.1
"""Pixels by which a sheet may lie off the grid: it is moved onto it."""


def open_mosaic(
    paths: Iterable[str | Path],
    *,
    bands: Sequence[int | str] | None = None,
    nodata: float | Sequence[float] | None = None,
    crs: str | CRS | None = None,
    overlap_rule: OverlapRule = "first",
    resample: bool = False,
) -> MosaicSource:
    """Adjoining rasters as one; nothing is decoded.

    Args:
        paths: files that GDAL reads, as of `open_raster`.
        bands: as of `open_raster`, of each.
        nodata: likewise.
        crs: likewise.
        overlap_rule: which of two sheets is on top: the ``first`` by path, the ``newest`` by date,
            or the ``finest`` by ground sampling; of equal ones the first by path.
        resample: bring sheets that do not lie on the grid of most there.

    Raises:
        SourceError: one of them cannot be read, or does not lie on the grid of the others.
        ConfigError: no path is given, or the rule is none of these.
    """
    sources = [
        open_raster(path, bands=bands, nodata=nodata, crs=crs)
        for path in given_paths("paths", paths)
    ]
    if not sources:
        raise ConfigError("open_mosaic: no path is given; name the sheets")
    mosaic, misfits = make_mosaic(
        common_folder([each.path for each in sources]), sources, overlap_rule, resample=resample
    )
    for line in misfits.values():
        raise SourceError(line)
    return mosaic


def make_mosaic(
    path: Path,
    sources: Iterable[Source],
    overlap_rule: OverlapRule = "first",
    *,
    crs: CRS | None = None,
    resample: bool = False,
    remedy: str = _REMEDY,
) -> tuple[MosaicSource, dict[Path, str]]:
    """Open rasters as one.

    Args:
        path: by which it is known.
        sources: in any order.
        overlap_rule: see `open_mosaic`.
        crs: of the mosaic; None: that of most sheets.
        resample: bring sheets that do not lie on the grid there.
        remedy: what to do about those, in the lines on them.

    Returns:
        The mosaic, and by their paths why other rasters are no sheets of it.

    Raises:
        ConfigError: the rule is unknown.
    """
    if overlap_rule not in OVERLAP_RULES:
        raise ConfigError(f"overlap_rule {overlap_rule!r}: use {', '.join(OVERLAP_RULES)}")
    inputs = sorted(sources, key=lambda source: str(source.path))
    first = _reference(inputs, crs)
    misfits: dict[Path, str] = {}
    placed = []
    for each in inputs:
        try:
            sheet = _placed(each, first, remedy, resample=resample)
            if overlap_rule == "finest":  # of thousands of sheets it takes seconds
                sheet = sheet._replace(sampling=each.ground_sampling)
            placed.append(sheet)
        except SourceError as error:
            misfits[each.path] = str(error)
    top, left = min(sheet.row for sheet in placed), min(sheet.col for sheet in placed)
    sheets = [each._replace(row=each.row - top, col=each.col - left) for each in placed]
    corner = next((each for each in sheets if (each.row, each.col) == (0, 0)), None)
    shift = Affine.translation(left, top)
    return MosaicSource(
        path=path,
        height=max(sheet.window.row_end for sheet in sheets),
        width=max(sheet.window.col_end for sheet in sheets),
        bands=tuple(range(1, len(first.bands) + 1)),
        dtype=first.dtype,
        # Of a sheet that begins there exactly, as rounding leaves traces.
        transform=first.transform @ shift if corner is None else corner.source.transform,
        crs=first.crs,
        file_bands=tuple(first.file_bands[band - 1] for band in first.bands),
        bands_chosen=first.bands_chosen,
        sheets=tuple(sorted(sheets, key=partial(_rank, rule=overlap_rule))),
        warnings=(*_moved(sheets, first), *_far_off(path, sheets)),
        read_cost=mosaic_cost([sheet.source.read_cost for sheet in sheets]),
        beside=first.beside,
    ), misfits


def _alike(source: Source, first: Source) -> Source:
    """A sheet that shares what it has in common with the first one: there may be thousands."""
    alike = source.file_bands == first.file_bands
    bands = first.file_bands if alike else source.file_bands
    return replace(source, crs=first.crs, file_bands=bands)


def _moved(sheets: Sequence[Sheet], first: Source) -> tuple[str, ...]:
    """A line where sheets are brought to another grid."""
    count = sum(isinstance(sheet.source, ReprojectedSource) for sheet in sheets)
    if not count:
        return ()
    return (f"{first.path}: {counted(count, 'sheet')} of {len(sheets)} are resampled to its grid",)


def _far_off(path: Path, sheets: Sequence[Sheet]) -> tuple[str, ...]:
    """A line where a mosaic is nearly empty: often one sheet's place is wrong."""
    places = np.array([(s.row, s.col, s.window.row_end, s.window.col_end) for s in sheets])
    height, width = places[:, 2:].max(axis=0).tolist()
    share = float(np.prod(places[:, 2:] - places[:, :2], axis=1).sum()) / (height * width)
    if share >= _LEAST_COVER:
        return ()
    ends = {*places[:, :2].argmin(axis=0).tolist(), *places[:, 2:].argmax(axis=0).tolist()}
    left = {end: np.delete(places, end, axis=0) for end in sorted(ends)}
    sizes = {end: np.prod(rest[:, 2:].max(0) - rest[:, :2].min(0)) for end, rest in left.items()}
    outlying = sheets[min(sizes, key=sizes.__getitem__)].source.path
    return (
        f"{path}: its sheets cover {share:.3%} of the {height} x {width} pixels that hold them; "
        f"{outlying} lies far from others: leave it out if it is no part of this mosaic",
    )


def _rank(sheet: Sheet, rule: OverlapRule) -> tuple[float, str]:
    """Lowest on top."""
    source = sheet.source
    if rule == "newest":
        return -date_of(source.path), str(source.path)
    if rule == "finest":
        return sheet.sampling or math.inf, str(source.path)
    return 0.0, str(source.path)


def _reference(inputs: Sequence[Source], crs: CRS | None) -> Source:
    """The sheet whose grid the mosaic has: the first one whose pixels are like those of most.

    Raises:
        SourceError: no sheet has the coordinate system that is wanted, or any place.
    """
    placed = [each for each in inputs if each.georeferenced]
    placed = [each for each in placed if each.crs is not None] or placed
    if not placed:
        raise SourceError(
            f"{inputs[0].path}: {describe_grid(inputs[0])} is no sheet of a mosaic, nor is another "
            "input; give them a place"
        )
    names = [str(each.crs) for each in placed]
    most = placed[names.index(Counter(names).most_common(1)[0][0])]
    wanted = crs or most.crs
    same = [
        each
        for each in placed
        if each.crs == wanted or (each.crs and wanted and same_crs(each.crs, wanted))
    ]
    if not same:
        raise SourceError(
            f"--crs {crs_name(wanted)}: none of the sheets has it, so that no grid is known; give "
            f"that of one, like {crs_name(most.crs)}"
        )
    pixels = [_pixel(each) for each in same]
    return same[pixels.index(Counter(pixels).most_common(1)[0][0])]


def _pixel(source: Source) -> tuple[str, ...]:
    """Size and direction of its pixels, without traces of rounding."""
    a, b, _, d, e, _ = tuple(source.transform)[:6]
    return tuple(f"{each + 0.0:.6g}" for each in (a, b, d, e))


def _placed(source: Source, reference: Source, remedy: str, *, resample: bool) -> Sheet:
    """A sheet on the grid of the reference, brought there if it has to be and may.

    Raises:
        SourceError: it is no sheet of the mosaic.
    """
    if not (source.georeferenced and reference.georeferenced):
        raise SourceError(
            f"{source.path}: {describe_grid(source)} is no sheet of a mosaic; give it a place"
        )
    if (source.dtype, len(source.bands)) != (reference.dtype, len(reference.bands)):
        raise SourceError(
            f"{source.path}: {len(source.bands)} bands of {source.dtype}, and {reference.path} "
            f"{len(reference.bands)} of {reference.dtype}; sheets have the same: convert it first"
        )
    sheet = place_on(source, reference, resample=resample, remedy=remedy)
    moved = isinstance(sheet.source, ReprojectedSource)
    return sheet if moved else sheet._replace(source=_alike(source, reference))


def place_on(source: Source, reference: Source, *, resample: bool, remedy: str = _REMEDY) -> Sheet:
    """A raster on the grid of another one, brought there if it has to be and may.

    Raises:
        SourceError: it does not lie on that grid, or cannot be brought there.
    """
    line = _off_grid(source, reference, remedy)
    if line and not resample:
        raise SourceError(line)
    if line:
        return Sheet(*reproject(source, reference))
    return Sheet(source, *_place(source, reference))


def _place(source: Source, reference: Source) -> tuple[int, int]:
    """Row and column of its corner on the grid of the reference."""
    col, row = ~reference.transform @ (source.transform @ (0, 0))
    return round(row), round(col)


def _off_grid(source: Source, reference: Source, remedy: str) -> str:
    """Why a raster does not lie on the grid of another; empty where it does."""
    one, other = source.crs, reference.crs
    if (one is None) != (other is None) or (one and other and not same_crs(one, other)):
        why = "sheets have one coordinate system"
    else:
        row, col = _place(source, reference)
        expected = reference.transform @ Affine.translation(col, row)
        corners = [(0, 0), (source.width, 0), (0, source.height), (source.width, source.height)]
        moved = [~expected @ (source.transform @ corner) for corner in corners]
        if np.abs(np.subtract(moved, corners)).max() <= _SNAPPED:
            return ""
        why = "sheets lie on one grid, to a tenth of a pixel"
    # Said of few: to describe a grid takes longer than to compare it.
    return (
        f"{source.path}: {describe_grid(source)}, and {reference.path} has another grid "
        f"({describe_grid(reference)}); {why}: {remedy}"
    )


def common_folder(paths: Sequence[Path]) -> Path:
    """The folder that holds some files, at whatever depth; ``mosaic`` where they have none."""
    parents = {path.parent for path in paths}
    while len(parents) > 1:
        deepest = max(len(each.parts) for each in parents)
        above = {each.parent if len(each.parts) == deepest else each for each in parents}
        if above == parents:  # some begin at the root, others where the program runs
            return Path(_ANYWHERE)
        parents = above
    folder = parents.pop()
    return Path(_ANYWHERE) if folder.name.endswith(":") else folder  # of URLs, no server
