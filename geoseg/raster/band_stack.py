"""The bands of several files as those of one raster: a surface model beside an orthophoto.

The pixels are those of the first file. Others lie on its grid, or are brought there while they are
read. A pixel is valid where it is valid in every file of which a band is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS

from geoseg.errors import ConfigError, SourceError
from geoseg.given import AnyName, given_paths
from geoseg.raster.alignment import describe_grid, same_grid
from geoseg.raster.bands import FileBand, names_of
from geoseg.raster.companions import companion_name
from geoseg.raster.file_source import band_notes, bands_by_default, chosen_bands, open_raster
from geoseg.raster.pieces import PiecedReader, pieces_of_copies
from geoseg.raster.read_cost import ReadCost
from geoseg.raster.reader import Reader
from geoseg.raster.sheets import place_on
from geoseg.raster.source import Source
from geoseg.tiling import Window


class Layer(NamedTuple):
    """A file of a stack: the bands of it that are read."""

    file: Source
    """As it is."""
    source: Source
    """On the grid of the stack."""
    row: int
    """Of its upper left corner there."""
    col: int
    positions: tuple[int, ...]
    """Of its bands among those of the stack."""

    def common(self, window: Window) -> Window | None:
        """What of a window of the stack it covers; None: nothing."""
        row, col = max(window.row, self.row), max(window.col, self.col)
        height = min(window.row_end, self.row + self.source.height) - row
        width = min(window.col_end, self.col + self.source.width) - col
        return Window(row, col, height, width) if min(height, width) > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class StackSource(Source):
    """The bands of several files: see `stack`."""

    layers: tuple[Layer, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """As `Source.files`."""
        return tuple(file for layer in self.layers for file in layer.source.files)

    @property
    def parts(self) -> tuple[tuple[Source, tuple[int, ...]], ...]:
        """As `Source.parts`."""
        return tuple((layer.file, layer.positions) for layer in self.layers)

    @property
    def facts(self) -> str:
        """As `Source.facts`."""
        grid = (self.height, self.width, tuple(self.transform), str(self.crs), self.dtype)
        return repr((grid, [(each.source.facts, *each[2:]) for each in self.layers]))

    def _open(self, overview: int | None) -> Reader:  # noqa: ARG002 - a stack has none
        return StackReader(self)


class StackReader(PiecedReader):
    """Windows of a stack.

    Args:
        stack: the raster.

    Raises:
        SourceError: one of its files cannot be opened.
    """

    def __init__(self, stack: StackSource) -> None:
        self.path, self.height, self.width = stack.path, stack.height, stack.width
        self.bands, self.dtype = len(stack.bands), stack.dtype
        self._layers = stack.layers
        self.pieces = pieces_of_copies(self, striped=stack.read_cost.striped)
        with ExitStack() as opened:
            self._readers = [opened.enter_context(each.source.open()) for each in stack.layers]
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Close all files."""
        self._opened.close()

    def _fill(self, window: Window, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> None:
        valid.fill(True)
        for layer, reader in zip(self._layers, self._readers, strict=True):
            here = np.zeros(valid.shape, np.bool_)
            common = layer.common(window) if valid.any() else None
            if common is not None:
                rows, cols = common.slices(window.row, window.col)
                place = common.row - layer.row, common.col - layer.col
                found, here[rows, cols] = reader.read(*place, common.height, common.width)
                for position, band in zip(layer.positions, found, strict=True):
                    pixels[position, rows, cols] = band
            valid &= here


def stack(
    paths: Sequence[AnyName],
    *,
    bands: Sequence[int | str] | None = None,
    wanted: Sequence[str] = (),
    nodata: float | Sequence[float] | None = None,
    crs: str | CRS | None = None,
) -> Source:
    """The bands of several rasters as those of one, which has the pixels of the first.

    Bands count on from file to file. One that a further file does not describe is called by the
    words that this file's name has beyond the first one's: ``dsm`` of ``area_7_dsm.tif``.

    Args:
        paths: files that GDAL reads; of one alone it is `open_raster`.
        bands: bands of all to read, by number or name, in this order.
        wanted: as of `open_raster`.
        nodata: the values that mean "no data" in the first, in place of what it declares; others
            declare their own.
        crs: the coordinate system of the first, in place of its own, and of others without one.

    Raises:
        SourceError: one of them cannot be read, or brought to the grid of the first, or there are
            no such bands.
        ConfigError: no path is given, `crs` is unknown, or `bands` is empty.
    """
    paths = given_paths("paths", paths)
    if not paths:
        raise ConfigError("stack: no path is given; name the files")
    if len(paths) == 1:
        return open_raster(paths[0], bands=bands, wanted=wanted, nodata=nodata, crs=crs)
    first = open_raster(paths[0], nodata=nodata, crs=crs)
    files = [first, *(_open_beside(path, crs) for path in paths[1:])]
    named = [first.file_bands, *(_named_bands(first, each) for each in files[1:])]
    every = tuple(band for bands_of_file in named for band in bands_of_file)
    if bands is None:
        used = bands_by_default(first.path, every, wanted)
    else:
        used = chosen_bands(first.path, every, bands)
    layers, before = [], 0
    for file in files:
        count = len(file.file_bands)
        positions = tuple(i for i, band in enumerate(used) if before < band <= before + count)
        numbers = [used[position] - before for position in positions]
        before += count
        if numbers:
            given = nodata if file is first else None
            layers.append(_layer(_with_bands(file, numbers, given), first, positions))
    placing = tuple(line for layer in layers for line in _placing_notes(layer, first, every, used))
    lines = [*band_notes(every, used, chosen=bands is not None), *placing]
    warnings = [f"{first.path}: {line}" for line in lines]
    warnings += [line for layer in layers for line in layer.file.warnings]
    return StackSource(
        path=first.path,
        height=first.height,
        width=first.width,
        bands=used,
        dtype=np.result_type(*(layer.file.dtype for layer in layers)).name,
        transform=first.transform,
        crs=first.crs,
        file_bands=every,
        bands_chosen=bands is not None,
        notes=first.notes + placing,
        warnings=tuple(dict.fromkeys(warnings)),
        read_cost=ReadCost.of_several((each.source.read_cost for each in layers), len(layers)),
        beside=tuple(i for each in layers if each.file.path != first.path for i in each.positions),
        layers=tuple(layers),
    )


def _open_beside(path: AnyName, crs: str | CRS | None) -> Source:
    """A further file; without a coordinate system it has the one that is given."""
    source = open_raster(path)
    lacks = crs is not None and source.crs is None and source.georeferenced
    return open_raster(path, crs=crs) if lacks else source


def _named_bands(first: Source, other: Source) -> tuple[FileBand, ...]:
    """The bands of a further file; those that it does not describe get the file's own words."""
    name = companion_name(first.path, other.path)
    several = sum(band.color != "alpha" for band in other.file_bands) > 1
    return tuple(
        band
        if band.described or band.marked or band.color == "alpha"
        else FileBand(f"{name}_{number}" if several else name, band.color)
        for number, band in enumerate(other.file_bands, 1)
    )


def _with_bands(file: Source, numbers: Sequence[int], nodata: Any) -> Source:
    """A file of which these bands are read."""
    own = open_raster(file.path, bands=numbers, nodata=nodata)
    return replace(own, crs=file.crs, warnings=file.warnings)


def _layer(file: Source, first: Source, positions: tuple[int, ...]) -> Layer:
    """A file on the grid of the first one.

    Raises:
        SourceError: it lies elsewhere, or has no place on the ground.
    """
    if same_grid(first, file):
        return Layer(file, file, 0, 0, positions)
    if not (first.georeferenced and file.georeferenced):
        raise SourceError(
            f"{file.path}: {describe_grid(file)} does not lie on {first.path.name} "
            f"({describe_grid(first)}); give both a place, or files of the same pixels"
        )
    source, row, col, _ = place_on(file, first, resample=True)
    layer = Layer(file, source, row, col, positions)
    if layer.common(Window(0, 0, first.height, first.width)) is None:
        raise SourceError(
            f"{file.path}: {describe_grid(file)} lies nowhere on {first.path.name} "
            f"({describe_grid(first)}); check both coordinate systems, or give another file"
        )
    return layer


def _placing_notes(
    layer: Layer, first: Source, bands: Sequence[FileBand], used: Sequence[int]
) -> list[str]:
    """What is worth knowing about how a file is brought to the grid of the first one."""
    names = names_of([bands[used[position] - 1] for position in layer.positions])
    lines, whole = [], Window(0, 0, first.height, first.width)
    if layer.source is not layer.file:
        pixel = abs(layer.file.transform.a)
        lines.append(f"{names}: resampled to its pixels from those of a file of {pixel:g}")
    common = layer.common(whole)
    if common is not None and common != whole:
        share = common.height * common.width / (whole.height * whole.width)
        lines.append(f"{names}: a file that covers {share:.3%} of it; there is no data elsewhere")
    return lines
