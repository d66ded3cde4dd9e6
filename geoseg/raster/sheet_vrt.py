"""Many rasters as few virtual ones, for map programs that open each layer by itself.

GDAL reads of a virtual raster (VRT) the files that a view touches, and their own overviews.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from affine import Affine
from rasterio.crs import CRS

from geoseg.places import relative_name
from geoseg.raster.fingerprint import TAG
from geoseg.raster.gdal import open_dataset, replace_raster
from geoseg.remote import RemotePath
from geoseg.styles import write_style

OWN = "sheets of a project"
"""The fingerprint of these files."""
_TYPES = {
    "uint8": "Byte",
    "int8": "Int8",
    "uint16": "UInt16",
    "int16": "Int16",
    "uint32": "UInt32",
    "int32": "Int32",
    "float32": "Float32",
    "float64": "Float64",
}


@dataclass(frozen=True, slots=True)
class SheetVRT:
    """A virtual raster that was written."""

    path: Path
    crs: CRS | None
    style: str
    """QML, with the mask as opacity where there is no nodata."""


@dataclass(frozen=True, slots=True)
class _Sheet:
    path: Path
    height: int
    width: int
    transform: Affine
    kind: tuple[str, tuple[str, ...], float | None]
    """CRS, types of bands and nodata: sheets of one kind are one raster."""
    block: tuple[int, int]

    @classmethod
    def at(cls, path: Path, crs: CRS | None) -> _Sheet | None:
        """The sheet in a file; None where it is elsewhere, turned, or of types that VRTs lack."""
        if isinstance(path, RemotePath):
            return None
        with open_dataset(path) as file:
            place = file.transform
            upright = place.b == place.d == 0 and place.a > 0 > place.e
            if not upright or not set(file.dtypes) <= _TYPES.keys():
                return None
            system = file.crs or crs
            wkt = "" if system is None else system.to_wkt()
            kind = (wkt, tuple(file.dtypes), file.nodata)
            return cls(path, file.height, file.width, place, kind, file.block_shapes[0])


def write_sheet_vrts(
    paths: Sequence[Path], out: Path, crs: CRS | None, style: str
) -> tuple[list[SheetVRT], list[Path]]:
    """Write a virtual raster over all files that have their CRS, bands and nodata in common.

    Args:
        paths: of rasters; where they overlap, those that come first are on top.
        out: the first of the new files, a ``.vrt``; further ones are numbered from 2.
        crs: of rasters that name none.
        style: QML, written beside each.

    Returns:
        What was written, and the rasters that are in none: those on servers, and turned ones.

    Raises:
        SourceError: a raster cannot be opened.
        OutputError: a file cannot be written.
    """
    sheets = [_Sheet.at(path, crs) for path in paths]
    groups: dict[object, list[_Sheet]] = {}
    for sheet in sheets:
        if sheet is not None:
            groups.setdefault(sheet.kind, []).append(sheet)
    made = []
    for number, group in enumerate(groups.values(), start=1):
        place = out if number == 1 else out.with_name(f"{out.stem}_{number}.vrt")
        wkt, types, nodata = group[0].kind
        masked = f'alphaBand="{len(types) + 1}"'  # QGIS takes the mask for the last band
        own = style if nodata is not None else style.replace('alphaBand="-1"', masked)
        with replace_raster(place) as built:
            built.write_text("\n".join(_lines(group, place.parent)), encoding="utf-8")
            write_style(built, ".qml", own)
        made.append(SheetVRT(place, CRS.from_wkt(wkt) if wkt else None, own))
    return made, [path for path, sheet in zip(paths, sheets, strict=True) if sheet is None]


def _lines(sheets: Sequence[_Sheet], folder: Path) -> Iterator[str]:
    wkt, types, nodata = sheets[0].kind
    across = min(sheet.transform.a for sheet in sheets)
    down = min(-sheet.transform.e for sheet in sheets)
    corners = np.array([sheet.transform @ (0, 0) for sheet in sheets])
    ends = np.array([sheet.transform @ (sheet.width, sheet.height) for sheet in sheets])
    left, top = float(corners[:, 0].min()), float(corners[:, 1].max())
    width = round((ends[:, 0].max() - left) / across)
    height = round((top - ends[:, 1].min()) / down)
    yield f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">'
    if wkt:
        yield f"<SRS>{escape(wkt)}</SRS>"
    yield f"<GeoTransform>{left!r}, {across!r}, 0, {top!r}, 0, {-down!r}</GeoTransform>"
    yield f'<Metadata><MDI key="{TAG}">{OWN}</MDI></Metadata>'
    grid = Affine(across, 0, left, 0, -down, top)
    for band, name in enumerate(types, start=1):
        yield f'<VRTRasterBand dataType="{_TYPES[name]}" band="{band}">'
        if nodata is not None:
            yield f"<NoDataValue>{nodata!r}</NoDataValue>"
        for sheet in reversed(sheets):  # the last one is on top
            yield from _source(sheet, folder, grid, str(band), _TYPES[name])
        yield "</VRTRasterBand>"
    if nodata is None:
        yield '<MaskBand><VRTRasterBand dataType="Byte">'
        for sheet in reversed(sheets):
            yield from _source(sheet, folder, grid, "mask,1", "Byte")
        yield "</VRTRasterBand></MaskBand>"
    yield "</VRTDataset>"


def _source(sheet: _Sheet, folder: Path, grid: Affine, band: str, kind: str) -> Iterator[str]:
    nodata = sheet.kind[2]
    element = "SimpleSource" if nodata is None else "ComplexSource"
    col, row = ~grid @ (sheet.transform.c, sheet.transform.f)
    size = f'xSize="{sheet.width}" ySize="{sheet.height}"'
    width = sheet.width * sheet.transform.a / grid.a
    height = sheet.height * sheet.transform.e / grid.e
    name = relative_name(sheet.path, folder)
    relative = int(not Path(name).is_absolute())
    yield (
        f'<{element}><SourceFilename relativeToVRT="{relative}">{escape(name)}</SourceFilename>'
        f"<SourceBand>{band}</SourceBand>"
        f'<SourceProperties RasterXSize="{sheet.width}" RasterYSize="{sheet.height}" '
        f'DataType="{kind}" BlockXSize="{sheet.block[1]}" BlockYSize="{sheet.block[0]}"/>'
        f'<SrcRect xOff="0" yOff="0" {size}/>'
        f'<DstRect xOff="{col!r}" yOff="{row!r}" xSize="{width!r}" ySize="{height!r}"/>'
    )
    if nodata is not None:
        yield f"<NODATA>{nodata!r}</NODATA>"
    yield f"</{element}>"
