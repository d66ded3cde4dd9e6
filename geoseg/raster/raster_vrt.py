"""A GDAL virtual raster (VRT) that says what an output's pixels mean.

It can say what rasterio cannot set: class names (``CategoryNames``) and the attribute table. Where
the COG driver copies from it, they end up in the ``.aux.xml`` beside the COG for QGIS and ArcGIS;
palette, tags, scale and band names end up inside the COG.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from affine import Affine
from rasterio.crs import CRS

from geoseg.classes import NODATA
from geoseg.places import AnyPath
from geoseg.raster.layers import Layer, Meaning
from geoseg.raster.part import BLOCK, Part

_COLUMNS = (("Value", 0, 5), ("Class", 2, 2), ("Red", 0, 6), ("Green", 0, 7), ("Blue", 0, 8))
"""Of the attribute table: name, GDAL's field type (0 whole number, 2 text) and usage (5 the value,
2 its name, 6 to 8 its colour)."""


@dataclass(frozen=True, slots=True)
class RasterVRT:
    """A uint8 raster made of files, in any order and size; where none lies, it holds nodata."""

    layer: Layer
    """What its pixels mean."""
    files: Sequence[Part]
    """With as many bands, and with masks where the layer has no nodata. Relative paths count from
    the VRT's folder."""
    height: int
    width: int
    transform: Affine
    """The identity for a raster without georeferencing."""
    crs: CRS | None
    tags: Mapping[str, str] = field(default_factory=dict)
    """Beside those of the layer."""
    level: int = 0
    """0: the files as they are; 1: the first of their overviews; and so on."""
    is_overview: bool = False
    """Of another virtual raster, whose mask finds this one's as one more band: GDAL takes overviews
    of a mask from numbered bands alone, and would else reduce all of the mask, by other rules."""

    def to_xml(self, overviews: Sequence[Path] = ()) -> str:
        """The VRT file's text.

        Args:
            overviews: files of the same bands at half, a quarter, ... of the size: GeoTIFFs for a
                copy, or virtual rasters.
        """
        return "\n".join(self._lines(overviews))

    def _lines(self, overviews: Sequence[Path]) -> Iterator[str]:
        layer = self.layer
        yield f'<VRTDataset rasterXSize="{self.width}" rasterYSize="{self.height}">'
        if self.crs is not None:
            yield f"<SRS>{escape(self.crs.to_wkt())}</SRS>"
        if not self.transform.is_identity:
            terms = ", ".join(repr(float(term)) for term in self.transform.to_gdal())
            yield f"<GeoTransform>{terms}</GeoTransform>"
        yield "<Metadata>"
        for name, value in {**self.tags, **self.layer.tags}.items():
            yield f"<MDI key={quoteattr(name)}>{escape(value)}</MDI>"
        yield "</Metadata>"
        for number, name in enumerate(layer.bands, start=1):
            yield (
                f'<VRTRasterBand dataType="Byte" band="{number}">'
                f"<Description>{escape(name)}</Description>"
            )
            if layer.nodata is not None:
                yield f"<NoDataValue>{layer.nodata}</NoDataValue>"
            if layer.scale is not None:
                yield f"<Offset>0</Offset><Scale>{layer.scale!r}</Scale>"
            if layer.classes is not None:
                yield _palette(tuple(layer.meanings.items()))
            yield from _overviews(overviews, number)
            for file in self.files:
                yield _source(file, number, self.level)
            yield "</VRTRasterBand>"
        if self.is_overview and layer.nodata is None:
            yield f'<VRTRasterBand dataType="Byte" band="{len(layer.bands) + 1}">'
            yield from (_source(file, "mask,1", self.level) for file in self.files)
            yield "</VRTRasterBand>"
        if layer.nodata is None:
            yield '<MaskBand><VRTRasterBand dataType="Byte">'
            with_band = [path for path in overviews if path.suffix == ".vrt"]
            yield from _overviews(with_band, len(layer.bands) + 1)
            yield from (_source(file, "mask,1", self.level) for file in self.files)
            yield "</VRTRasterBand></MaskBand>"
        yield "</VRTDataset>"


def _overviews(paths: Sequence[Path], band: int) -> Iterator[str]:
    for path in paths:
        yield f"<Overview>{_file(path)}<SourceBand>{band}</SourceBand></Overview>"


@lru_cache(maxsize=4)
def _palette(meanings: tuple[tuple[int, Meaning], ...]) -> str:
    """Colours and names of all 256 values, and an attribute table of those that mean something."""
    return "\n".join(_palette_lines(dict(meanings)))


def _palette_lines(meanings: Mapping[int, Meaning]) -> Iterator[str]:
    all_values = [meanings.get(value, ("", (0, 0, 0), 255)) for value in range(256)]
    yield "<ColorInterp>Palette</ColorInterp><CategoryNames>"
    yield from (f"<Category>{escape(name)}</Category>" for name, *_ in all_values)
    yield "</CategoryNames><ColorTable>"
    for value, (_, (red, green, blue), _) in enumerate(all_values):
        opacity = 0 if value == NODATA else 255
        yield f'<Entry c1="{red}" c2="{green}" c3="{blue}" c4="{opacity}"/>'
    yield '</ColorTable><GDALRasterAttributeTable tableType="thematic">'
    for index, (column, kind, usage) in enumerate(_COLUMNS):
        yield (
            f'<FieldDefn index="{index}"><Name>{column}</Name>'
            f"<Type>{kind}</Type><Usage>{usage}</Usage></FieldDefn>"
        )
    for index, (value, (name, color, _)) in enumerate(meanings.items()):
        if value != NODATA:
            cells = "".join(f"<F>{escape(str(cell))}</F>" for cell in (value, name, *color))
            yield f'<Row index="{index}">{cells}</Row>'
    yield "</GDALRasterAttributeTable>"


def _source(file: Part, band: int | str, level: int) -> str:
    size = f'xSize="{file.width}" ySize="{file.height}"'
    # With these properties given, GDAL opens a file only when it reads it: thousands cost nothing.
    properties = (
        f'RasterXSize="{file.width}" RasterYSize="{file.height}" DataType="Byte" '
        f'BlockXSize="{BLOCK}" BlockYSize="{BLOCK}"'
    )
    options = f'<OOI key="OVERVIEW_LEVEL">{level - 1}</OOI>' if level else ""
    return (
        f"<SimpleSource>{_file(file.path)}<OpenOptions>{options}</OpenOptions><SourceBand>{band}</SourceBand>"
        f'<SourceProperties {properties}/><SrcRect xOff="0" yOff="0" {size}/>'
        f'<DstRect xOff="{file.col}" yOff="{file.row}" {size}/></SimpleSource>'
    )


def _file(path: AnyPath) -> str:
    assert isinstance(path, Path), path  # noqa: S101 - GDAL opens nothing in a bucket here
    relative = int(not path.is_absolute())
    return f'<SourceFilename relativeToVRT="{relative}">{escape(path.as_posix())}</SourceFilename>'
