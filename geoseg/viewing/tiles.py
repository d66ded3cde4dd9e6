"""Tiles of a map as pictures, read from the overviews of the rasters by windows."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Resampling
from rasterio.io import MemoryFile
from rasterio.vrt import WarpedVRT

from geoseg.classes import NODATA
from geoseg.raster import open_raster
from geoseg.raster.gdal import open_dataset
from geoseg.raster.preview import shown_bands, shown_range
from geoseg.styles import RAMP
from geoseg.viewing.placed import SIDE, Bounds, Placed, Pyramid, touching

_MOST_RASTERS = 64
"""Of a tile; of more, each of which is a few pixels there, outlines are filled."""
_LEAST = 4
"""Pixels of a raster's longer side on a tile; of a smaller one there is a mark."""
_OUTLINE = (70, 70, 70, 160)
_SMALL = 1024
"""Pixels of the longer side of imagery that has no overviews, where little of it is needed."""
_COARSE = 16
"""Pixels of imagery a pixel of a tile, beyond which reading all of them takes long."""

Picture = NDArray[np.uint8]
"""``(height, width, 4)``: red, green, blue, opacity."""


class RasterLayer(ABC):
    """Rasters of one kind on a map.

    Args:
        rasters: where they overlap, the first is on top.
        bounds: what each covers, in the CRS of the map.
    """

    def __init__(self, rasters: Sequence[Placed], bounds: Sequence[Bounds]) -> None:
        self._rasters = rasters
        self._bounds = np.array(bounds, float).reshape(-1, 4)

    def draw(self, pyramid: Pyramid, level: int, col: int, row: int) -> Picture:
        """A tile.

        Raises:
            SourceError: a raster cannot be opened.
            rasterio.errors.RasterioError: one cannot be read.
        """
        picture = np.zeros((SIDE, SIDE, 4), np.uint8)
        place = pyramid.transform(level, col, row)
        found = touching(self._bounds, pyramid.bounds(level, col, row))
        for index in reversed(found):
            if len(found) > _MOST_RASTERS or self._side(place, index) < _LEAST:
                self._fill(picture, place, index)
                continue
            drawn = self._read(self._rasters[index], pyramid, place)
            np.copyto(picture, drawn, where=drawn[..., 3:] > 0)
        return picture

    def _fill(self, picture: Picture, place: Affine, index: int) -> None:
        left, bottom, right, top = self._bounds[index]
        (col, row), (col_end, row_end) = ~place @ (left, top), ~place @ (right, bottom)
        col_end, row_end = max(col + _LEAST, col_end), max(row + _LEAST, row_end)
        rows = slice(max(0, round(row)), max(0, round(row_end)))
        picture[rows, max(0, round(col)) : max(0, round(col_end))] = _OUTLINE

    def _side(self, place: Affine, index: int) -> float:
        """The longer side of a raster on a tile, pixels."""
        left, bottom, right, top = self._bounds[index]
        return float(max((right - left) / place.a, (top - bottom) / -place.e))

    @abstractmethod
    def _read(self, raster: Placed, pyramid: Pyramid, place: Affine) -> Picture:
        """A raster in the pixels of a tile."""


class ClassLayer(RasterLayer):
    """Class rasters in the colours of their palettes."""

    def _read(self, raster: Placed, pyramid: Pyramid, place: Affine) -> Picture:
        with (
            open_dataset(raster.path) as file,
            _warped(file, raster, pyramid, place, src_nodata=NODATA, nodata=NODATA) as seen,
        ):
            table = np.zeros((256, 4), np.uint8)
            for code, color in file.colormap(1).items():
                table[code] = color
            table[NODATA] = 0
            picture: Picture = np.take(table, seen.read(1), axis=0)
            return picture


class ConfidenceLayer(RasterLayer):
    """Confidence rasters by the ramp of their style."""

    def _read(self, raster: Placed, pyramid: Pyramid, place: Affine) -> Picture:
        with (
            open_dataset(raster.path) as file,
            _warped(file, raster, pyramid, place, src_nodata=0, nodata=0) as seen,
        ):
            picture: Picture = np.take(ramp_table(), seen.read(1), axis=0)
            return picture


class ImageryLayer(RasterLayer):
    """Imagery as previews show it."""

    _reading = threading.Lock()
    """Of all pixels of a raster without overviews: that of one at a time."""

    def _read(self, raster: Placed, pyramid: Pyramid, place: Affine) -> Picture:
        bands, low, high = _look(raster.path)
        with open_dataset(raster.path) as file:
            step = abs(place.a / pyramid.across)
            if step > _COARSE and not file.overviews(1) and max(file.shape) > _SMALL:
                with self._reading:
                    small = _small(raster.path)
                with MemoryFile(small) as memory, memory.open() as less:
                    return self._picture(less, raster, pyramid, place, bands, low, high)
            return self._picture(file, raster, pyramid, place, bands, low, high)

    @staticmethod
    def _picture(
        file: Any,
        raster: Placed,
        pyramid: Pyramid,
        place: Affine,
        bands: list[int],
        low: float,
        high: float,
    ) -> Picture:
        has_alpha = ColorInterp.alpha in file.colorinterp
        with _warped(
            *(file, raster, pyramid, place),
            resampling=Resampling.bilinear,
            add_alpha=not has_alpha,
        ) as seen:
            values = np.moveaxis(seen.read(bands).astype(np.float32), 0, -1)
            # GDAL does not take the band that it adds for the mask.
            valid = seen.dataset_mask() if has_alpha else seen.read(seen.count)
        shares = np.clip((np.nan_to_num(values) - low) / max(high - low, 1e-9), 0, 1)
        return np.dstack([(shares * 255).astype(np.uint8), valid])


def _warped(file: Any, raster: Placed, pyramid: Pyramid, place: Affine, **options: Any) -> Any:
    """A raster on the pixels of a tile; GDAL takes the overview that has enough of them."""
    scale = Affine.scale(raster.width / file.width, raster.height / file.height)
    return WarpedVRT(
        file,
        src_crs=raster.crs,
        src_transform=raster.transform @ scale,
        crs=pyramid.crs,
        transform=place,
        width=SIDE,
        height=SIDE,
        **{"resampling": Resampling.nearest} | options,
    )


@lru_cache(maxsize=4096)
def _look(path: Path) -> tuple[list[int], float, float]:
    """Bands of the file that are shown, and the values that are black and full colour."""
    source = open_raster(path)
    return [source.bands[band] for band in shown_bands(source)], *shown_range(source)


@lru_cache(maxsize=64)
def _small(path: Path) -> bytes:
    """Imagery without overviews as a file of few pixels."""
    with open_dataset(path) as file, MemoryFile() as memory:
        step = max(file.shape) / _SMALL
        height, width = (max(1, round(side / step)) for side in file.shape)
        profile = {"driver": "GTiff", "height": height, "width": width, "compress": "deflate"}
        pixels = file.read(out_shape=(file.count, height, width))
        mask = file.dataset_mask(out_shape=(height, width))
        with memory.open(**profile, count=file.count, dtype=pixels.dtype) as small:
            small.write(pixels)
            small.write_mask(mask)
        return bytes(memory.getbuffer())


@lru_cache(maxsize=1)
def ramp_table() -> Picture:
    """Colours of confidence 0..255; ``(256, 4)``, 0 clear."""
    stops = np.array([[int(color[at : at + 2], 16) for at in (1, 3, 5)] for color in RAMP])
    codes = np.linspace(0, len(RAMP) - 1, 256)
    red, green, blue = (np.interp(codes, range(len(RAMP)), each) for each in stops.T)
    table = np.column_stack([red, green, blue, np.full(256, 255)]).round().astype(np.uint8)
    table[0] = 0
    return table


def png_of(picture: Picture) -> bytes:
    """A picture as PNG."""
    from PIL import Image

    stream = BytesIO()
    Image.fromarray(picture, "RGBA").save(stream, "PNG", compress_level=1)
    return stream.getvalue()
