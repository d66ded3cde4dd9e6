"""What lies below a VRT or a tile index, which hide what the values of their images mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from geoseg.foreign import MOST_XML, is_elsewhere, read_head
from geoseg.raster.content import PALETTE, raster_driver, tiff_photometric
from geoseg.raster.references import follow_references

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

    photometrics: dict[Path, int | None]
    """What their values are, as `tiff_photometric` has it; None where that is not known, as of
    files on servers: asking each takes too long."""
    computed: bool
    """Whether values are changed on the way."""

    def having(self, photometric: int) -> list[Path]:
        """The images of this kind."""
        return [path for path, kind in self.photometrics.items() if kind == photometric]

    def lacking(self, photometric: int) -> list[Path]:
        """The images of other kinds."""
        return [path for path, kind in self.photometrics.items() if kind != photometric]


def look_below(path: Path) -> Below:
    """The images that a VRT or a tile index is made of, at any depth.

    Raises:
        SourceError: one of them is refused, see `follow_references`.
    """
    photometrics: dict[Path, int | None] = {}
    computed = False
    for file, driver in [(path, raster_driver(path)), *_files_below(path)]:
        if driver in ("VRT", "GTI"):
            computed |= _COMPUTED.search(read_head(file, MOST_XML)) is not None
        elif file != path and driver is not None:
            photometrics[file] = _photometric(file, driver)
    return Below(photometrics, computed)


def shows_palettes(path: Path) -> bool:
    """Whether a VRT or a tile index hands on indices into the palettes of images below it."""
    below = look_below(path) if raster_driver(path) in ("VRT", "GTI") else None
    return below is not None and not below.computed and bool(below.having(PALETTE))


def _files_below(path: Path) -> list[tuple[Path, str | None]]:
    names = [name for name in follow_references(path) if not name.lower().endswith(_NO_IMAGES)]
    return [(Path(name), "" if is_elsewhere(name) else raster_driver(Path(name))) for name in names]


def _photometric(file: Path, driver: str) -> int | None:
    if driver == "GTiff":
        return tiff_photometric(file)
    indexed = driver == "PNG" and read_head(file)[_PNG_KIND] == _PNG_PALETTE
    return PALETTE if indexed or driver == "GIF" else None
