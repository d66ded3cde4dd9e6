"""What lies below a VRT or a tile index, which hide what the values of their images mean."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rasterio
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError

from geoseg.errors import SourceError
from geoseg.foreign import MOST_XML, is_elsewhere, read_head
from geoseg.raster.content import MIN_IS_WHITE, PALETTE, raster_driver, tiff_photometric
from geoseg.raster.gdal import open_dataset
from geoseg.raster.references import follow_references
from geoseg.raster.remote import DRIVERS

_NO_IMAGES = (".aux.xml", ".aux", ".ovr", ".msk")
_COMPUTED = re.compile(
    rb"(?i)(<|&lt;)(ScaleRatio|ScaleOffset|SrcMin|DstMin|LUT|Exponent|ColorTableComponent"
    rb"|PixelFunctionType|SpectralBand|PanchroBand)"
)
"""What makes other values of those in the files below a VRT."""
_PNG_KIND, _PNG_PALETTE = 25, 3
"""PNG, 11.2.2: the byte of the colour type, and that of indexed colours."""


@dataclass(frozen=True, slots=True)
class Below:
    """The images below a raster: none below one that holds its pixels itself."""

    photometrics: dict[str, int | None]
    """By their names, what their values are, as `tiff_photometric` has it; None for what counts
    neither as a negative nor as a palette."""
    computed: bool
    """Whether values are changed on the way."""

    def having(self, photometric: int) -> list[str]:
        """The images of this kind."""
        return [name for name, kind in self.photometrics.items() if kind == photometric]

    def lacking(self, photometric: int) -> list[str]:
        """The images of other kinds."""
        return [name for name, kind in self.photometrics.items() if kind != photometric]


def look_below(path: Path) -> Below:
    """The images that a VRT or a tile index is made of, at any depth.

    Raises:
        SourceError: one of them is refused, see `follow_references`, or cannot be opened.
    """
    photometrics: dict[str, int | None] = {}
    computed = False
    for name, driver in [(str(path), raster_driver(path)), *_files_below(path)]:
        if driver in ("VRT", "GTI"):
            computed |= _COMPUTED.search(read_head(Path(name), MOST_XML)) is not None
        elif name != str(path) and driver is not None:
            photometrics[name] = _photometric(name, driver)
    return Below(photometrics, computed)


def open_below(name: str) -> Any:
    """The rasterio dataset of an image below, also of one on a server; a context manager.

    Raises:
        SourceError: it cannot be opened.
    """
    if not is_elsewhere(name):
        return open_dataset(Path(name))
    for driver in DRIVERS:
        with suppress(RasterioError):
            return rasterio.open(name, driver=driver)  # followed before, so there is leave
    raise SourceError(f"{name}: cannot be opened any more; try again, or download it")


def shows_palettes(path: Path) -> bool:
    """Whether a VRT or a tile index hands on indices into the palettes of images below it."""
    below = look_below(path) if raster_driver(path) in ("VRT", "GTI") else None
    return below is not None and not below.computed and bool(below.having(PALETTE))


def _files_below(path: Path) -> list[tuple[str, str | None]]:
    names = [name for name in follow_references(path) if not name.lower().endswith(_NO_IMAGES)]
    return [(name, "" if is_elsewhere(name) else raster_driver(Path(name))) for name in names]


def _photometric(name: str, driver: str) -> int | None:
    if driver == "GTiff":
        return tiff_photometric(Path(name))
    if is_elsewhere(name):
        with open_below(name) as file:
            if file.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES":
                return MIN_IS_WHITE
            return PALETTE if ColorInterp.palette in file.colorinterp else None
    indexed = driver == "PNG" and read_head(Path(name))[_PNG_KIND] == _PNG_PALETTE
    return PALETTE if indexed or driver == "GIF" else None
