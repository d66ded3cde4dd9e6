"""Class rasters in the values of a data set's own labels: what a benchmark's server takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio

from geoseg.classes import NODATA, UNCERTAIN, ClassScheme
from geoseg.errors import ConfigError, SourceError
from geoseg.raster.gdal import replace_raster
from geoseg.raster.source import open_raster


def write_label_values(raster: str | Path, out: str | Path, scheme: ClassScheme) -> Path:
    """A class raster in the values of a data set's own labels, as a PNG.

    Of a class with several values the first is written; 254 and 255 become the least ignored value.

    Args:
        raster: one band of uint8 class ids, small enough for memory.
        out: the PNG file; an older one is replaced.
        scheme: such as `geoseg.classes.CITYSCAPES`, whose values are the ``labelIds``.

    Raises:
        ConfigError: a class has a value that a byte cannot hold.
        SourceError: the raster cannot be read, or holds ids that are no classes.
        OutputError: the PNG cannot be written.
    """
    beyond = [values[0] for values in scheme.values if not 0 <= values[0] <= NODATA]
    if beyond:
        raise ConfigError(
            f"label value {beyond[0]} does not fit into a byte; give classes with values of 0 to "
            "255"
        )
    source = open_raster(raster)
    with source.open() as reader:
        pixels, valid = reader.read(0, 0, source.height, source.width)
    ids = pixels[0].copy()
    ids[~valid | (ids == UNCERTAIN)] = NODATA
    if len(pixels) != 1 or ids.dtype != np.uint8 or (ids[ids != NODATA] >= len(scheme)).any():
        raise SourceError(
            f"{raster}: is no class raster of {len(scheme)} classes; give one that was made with "
            "them"
        )
    table = np.full(256, _unlabelled(scheme), np.uint8)
    table[: len(scheme)] = [values[0] for values in scheme.values]
    with (
        replace_raster(Path(out)) as made,
        rasterio.open(
            made,
            "w",
            driver="PNG",
            height=source.height,
            width=source.width,
            count=1,
            dtype="uint8",
        ) as file,
    ):
        file.write(table[ids], 1)
    return Path(out)


def _unlabelled(scheme: ClassScheme) -> int:
    """The least ignored value that a byte holds; 255 without one."""
    return min((value for value in scheme.ignore if 0 <= value <= NODATA), default=NODATA)
