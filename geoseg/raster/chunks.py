"""Rasters of any size as Cloud-Optimized GeoTIFFs on a grid of squares, with an index over them.

    a_classes.vrt                           the index: place, palette, names, and all levels
    a_classes/a_classes_r000_c000.tif       a square, with the overviews that are its own alone
    a_classes/a_classes_overview1.vrt       a level that is the squares' overviews
    a_classes/a_classes_overviews.tif       the levels above

The side of the squares is a power of two, so that halving them gives what halving the whole raster
gives.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.crs import CRS

from geoseg.copies import local_copy
from geoseg.disks import in_the_way
from geoseg.errors import OutputError
from geoseg.files import temporary_folder, write_text
from geoseg.places import (
    AnyPath,
    building_site,
    existing_files,
    files_in,
    folders_in,
    refuse_folders,
)
from geoseg.raster.class_names import describes_classes
from geoseg.raster.cog import ENVIRONMENT, refuse_cut_short_cog, write_layer
from geoseg.raster.fingerprint import TAG, read_fingerprint
from geoseg.raster.gdal import raster_companions, replace_raster
from geoseg.raster.layers import Layer
from geoseg.raster.overviews import count_overviews, write_overviews
from geoseg.raster.part import BLOCK, Part
from geoseg.raster.raster_vrt import RasterVRT
from geoseg.raster.style import raster_style
from geoseg.stores import FINGERPRINT, StorePath
from geoseg.styles import write_style
from geoseg.tiling import Window

LEAST_PIXELS = BLOCK**2
"""Of a square: a tile."""


def chunk_side(most_pixels: int) -> int:
    """The side of the largest squares that have at most so many pixels, at least `LEAST_PIXELS`."""
    return 1 << (math.isqrt(most_pixels).bit_length() - 1)


def chunk_overviews(side: int) -> int:
    """How many overviews each square has, the small ones at the raster's end too."""
    return count_overviews(side, side)


def chunk_areas(height: int, width: int, side: int) -> list[Window]:
    """What each square shows of a raster, row by row."""
    return [
        Window(row, col, min(side, height - row), min(side, width - col))
        for row in range(0, height, side)
        for col in range(0, width, side)
    ]


def chunk_path(index: AnyPath, area: Window, side: int) -> AnyPath:
    """The file of a square."""
    return index.with_suffix("") / _name(index, area, side)


def is_index(path: AnyPath) -> bool:
    """Whether a file is an index of geoseg's, whatever has become of the files it refers to."""
    return path.is_file() and f'"{TAG}">' in path.read_text(encoding="utf-8", errors="replace")


def index_files(index: AnyPath) -> list[AnyPath]:
    """What exists of an index and of its folder, the index first."""
    return [*existing_files(index, raster_companions), *_below_index(index)]


def _below_index(index: AnyPath) -> list[AnyPath]:
    folder = index.with_suffix("")
    return [path for path in files_in(folder) if _is_named_as_of(folder.name, path.name)]


def own_index_files(index: AnyPath) -> list[AnyPath]:
    """The same of an index of geoseg's; of one that is gone, or never was, what it was to be over.

    That is what a run leaves that is killed while it writes or removes them.
    """
    if is_index(index):
        return index_files(index)
    return [path for path in _below_index(index) if _is_own(path)]


def _is_own(path: AnyPath) -> bool:
    """Whether geoseg has written a file in the folder of an index."""
    if isinstance(path, StorePath) and path.fact(FINGERPRINT) is not None:
        return True
    file = path.with_name(path.name.removesuffix(".aux.xml"))
    if file != path and not file.exists():
        return isinstance(path, Path) and describes_classes(path)
    return is_index(file) if file.suffix == ".vrt" else read_fingerprint(file) is not None


def refuse_other_kinds(index: AnyPath) -> None:
    """Refuse a folder where an index or its squares are to be, and a file where their folder is.

    Raises:
        OutputError: there is one.
    """
    if isinstance(index, StorePath):
        return
    folder = index.with_suffix("")
    if words := in_the_way(folder):
        raise OutputError(f"{words}; move it away, or choose another --out")
    refuse_folders([index, *(each for each in folders_in(folder) if each.suffix == ".tif")])


def is_of_index(path: Path) -> bool:
    """Whether a file belongs to the index beside its folder, and is no raster of its own."""
    folder = path.parent
    return _is_named_as_of(folder.name, path.name) and is_index(Path(f"{folder}.vrt"))


def _is_named_as_of(stem: str, name: str) -> bool:
    endings = r"(r\d+_c\d+\.tif|overviews\.tif|overview\d+\.vrt)(\.aux\.xml)?"
    return re.fullmatch(rf"{re.escape(stem)}_{endings}", name) is not None


def has_fingerprint(path: AnyPath, fingerprint: str) -> bool:
    """Whether a file of an index was made from this; ``.aux.xml`` and style go with their file."""
    file = path.with_name(path.name.removesuffix(".aux.xml"))
    file = file.with_suffix(".vrt") if file.suffix == ".qml" else file
    if file != path and not file.exists():
        return False
    if file.suffix == ".vrt":
        return f'"{TAG}">{fingerprint}<' in file.read_text(encoding="utf-8", errors="replace")
    return read_fingerprint(file) == fingerprint


def write_index(
    layer: Layer,
    index: AnyPath,
    side: int,
    *,
    height: int,
    width: int,
    transform: Affine,
    crs: CRS | None,
    fingerprint: str,
) -> None:
    """Write the levels above the squares, and last of all the index.

    Args:
        layer: what the pixels mean.
        index: the file; an older one is replaced.
        side: of the squares, which exist.
        height: of the raster, in pixels.
        width: likewise.
        transform: pixel corner to CRS; the identity for none.
        crs: or None.
        fingerprint: what the raster was made from, kept in all of these files.

    Raises:
        SourceError: a square is missing or damaged.
        OutputError: the disk is full or the folder cannot be written.
    """
    areas = chunk_areas(height, width, side)
    own, count = chunk_overviews(side), count_overviews(height, width)
    above = _beside(index, "overviews.tif")

    def level(number: int, files: list[Part], level_of_files: int) -> RasterVRT:
        grown = transform if transform.is_identity else transform @ Affine.scale(2**number)
        shape = _halved(height, number), _halved(width, number)
        return RasterVRT(layer, files, *shape, grown, crs, {TAG: fingerprint}, level_of_files)

    def squares(number: int, folder: AnyPath) -> list[Part]:
        return [_square(folder / _name(index, area, side), area, number) for area in areas]

    with _at_hand(squares(own, above.parent.absolute()), own, above) as (files, level_of_files):
        _write_above(layer, above, level(own, files, level_of_files))
    top = Part(Path(above.name), 0, 0, _halved(height, own + 1), _halved(width, own + 1))
    overviews = [_beside(index, f"overview{number}.vrt") for number in range(1, count + 1)]
    for number, path in enumerate(overviews, start=1):
        below = squares(number, Path()) if number <= own else [top]
        vrt = level(number, below, number if number <= own else number - own - 1)
        write_text(path, replace(vrt, is_overview=True).to_xml())
    beside = Path(above.parent.name)
    with replace_raster(
        index, {FINGERPRINT: fingerprint}
    ) as made:  # with what belongs to an older one
        vrt = level(0, squares(0, beside), 0)
        made.write_text(vrt.to_xml([beside / path.name for path in overviews]), encoding="utf-8")
        write_style(made, ".qml", raster_style(layer))


@contextmanager
def _at_hand(squares: list[Part], number: int, out: AnyPath) -> Iterator[tuple[list[Part], int]]:
    """Squares that GDAL can read at one of their levels, and which level of their files that is.

    Of squares in a bucket, that level alone is kept here.
    """
    if isinstance(out, Path):
        yield squares, number
        return
    with temporary_folder(building_site(out)) as folder:
        level = {"overview_level": number - 1} if number else {}
        files = []
        for square in squares:
            file = folder / square.path.name
            with local_copy(square.path) as copy, rasterio.open(copy, **level) as pixels:
                rasterio.shutil.copy(pixels, str(file), driver="GTiff")
            files.append(replace(square, path=file))
        yield files, 0


@contextmanager
def level_at_hand(
    layer: Layer, index: AnyPath, side: int, *, height: int, width: int, least: int
) -> Iterator[Path]:
    """A file of the smallest level of a raster in a bucket whose longer side has `least` pixels.

    Args:
        layer: what the pixels mean.
        index: of the raster.
        side: of its squares.
        height: of the raster, in pixels.
        width: likewise.
        least: pixels; where the whole raster has fewer, the file shows all of them.

    Raises:
        FileNotFoundError: a file of the raster is missing.
    """
    own, count = chunk_overviews(side), count_overviews(height, width)
    larger = (number for number in range(count + 1) if _halved(max(height, width), number) >= least)
    number = max(larger, default=0)
    shape = _halved(height, number), _halved(width, number)
    squares = [
        _square(chunk_path(index, area, side), area, number)
        for area in chunk_areas(height, width, side)
    ]
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder(building_site(index)))
        if number <= own:
            files, level = stack.enter_context(_at_hand(squares, number, index))
        else:
            above = stack.enter_context(local_copy(_beside(index, "overviews.tif")))
            files, level = [Part(above, 0, 0, *shape)], number - own - 1
        vrt = RasterVRT(layer, files, *shape, Affine.identity(), None, level=level)
        described, plain = folder / "level.vrt", folder / "level.tif"
        described.write_text(vrt.to_xml(), encoding="utf-8")
        rasterio.shutil.copy(str(described), str(plain), driver="GTiff")
        yield plain


def _write_above(layer: Layer, out: AnyPath, below: RasterVRT) -> None:
    """Write the levels above one that is the squares' own."""
    facts = {FINGERPRINT: below.tags[TAG]}
    with replace_raster(out, facts) as made, rasterio.Env(**ENVIRONMENT):
        source = made.with_name("below.vrt")
        source.write_text(below.to_xml(), encoding="utf-8")
        (half,) = write_overviews(source, made.parent, layer.halve, 1, nodata=layer.nodata)
        base = half.rename(made.with_name("base.tif"))
        place = below.transform
        write_layer(
            layer,
            base,
            made,
            height=_halved(below.height, 1),
            width=_halved(below.width, 1),
            transform=place if place.is_identity else place @ Affine.scale(2),
            crs=below.crs,
            tags=below.tags,
        )
        refuse_cut_short_cog(made, out)


def _square(path: AnyPath, area: Window, number: int) -> Part:
    """A square's file at one of its levels, and where it lies in that level of the raster."""
    rows, cols = _halved(area.height, number), _halved(area.width, number)
    return Part(path, area.row >> number, area.col >> number, rows, cols)


def _halved(size: int, times: int) -> int:
    return -(-size >> times)


def _name(index: AnyPath, area: Window, side: int) -> str:
    return f"{index.stem}_r{area.row // side:03d}_c{area.col // side:03d}.tif"


def _beside(index: AnyPath, ending: str) -> AnyPath:
    return index.with_suffix("") / f"{index.stem}_{ending}"
