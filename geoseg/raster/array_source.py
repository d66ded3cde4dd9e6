"""Arrays as sources: of numpy, or of xarray with what rioxarray knows of their place."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import ArrayLike, NDArray
from rasterio.crs import CRS

from geoseg.errors import ConfigError, SourceError, shown
from geoseg.raster.bands import FileBand
from geoseg.raster.crs import parse_crs
from geoseg.raster.reader import Reader
from geoseg.raster.source import Source
from geoseg.tiling import Window

_NAME = Path("array")
_PLACE = "spatial_ref"
"""The coordinate in which rioxarray keeps the coordinate system, after CF."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArraySource(Source):
    """An array that reads like a raster."""

    array: Any
    """``(all bands, height, width)``, numpy's or one that becomes it window by window (dask)."""
    values: tuple[float, ...]
    """That mean no data where all bands have the same one of them."""

    @property
    def files(self) -> tuple[Path, ...]:
        """As `Source.files`: none."""
        return ()

    @property
    def facts(self) -> str:
        """As `Source.facts`, with the pixels."""
        digest = hashlib.sha256(np.asarray(self.array).tobytes()).hexdigest()
        return repr((digest, self.bands, self.values))

    def _open(self, overview: int | None) -> Reader:  # noqa: ARG002 - it has none
        return ArrayReader(self)


class ArrayReader(Reader):
    """Windows of an array.

    Args:
        source: the array.
    """

    def __init__(self, source: ArraySource) -> None:
        self.path, self.height, self.width = source.path, source.height, source.width
        self.bands, self.dtype = len(source.bands), source.dtype
        self._source = source

    def close(self) -> None:
        """Nothing is open."""

    def _read(
        self, window: Window, out: NDArray[Any] | None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        numbers = [band - 1 for band in self._source.bands]
        rows, cols = window.slices()
        pixels = np.asarray(self._source.array[numbers, rows, cols])
        valid = np.ones(pixels.shape[1:], np.bool_)
        if pixels.dtype.kind == "f":
            valid &= np.isfinite(pixels).all(axis=0)
        for value in self._source.values:
            valid &= (pixels != value).any(axis=0)
        if out is None:
            return pixels.copy(), valid
        np.copyto(out, pixels)
        return out, valid


def array_source(
    array: ArrayLike,
    *,
    bands: Sequence[int | str] | None = None,
    names: Sequence[str] = (),
    nodata: Sequence[float] = (),
    transform: Affine | None = None,
    crs: str | CRS | None = None,
) -> ArraySource:
    """An array as a source.

    Args:
        array: ``(bands, height, width)`` or ``(height, width)``, real numbers. Values that are not
            finite are invalid.
        bands: 1-based bands to read, in this order; None: all.
        names: of all bands.
        nodata: values that mean "no data" where all bands have the same one.
        transform: pixel corner to CRS.
        crs: the coordinate system; goes with a transform.

    Raises:
        SourceError: the array is empty, or has other axes or another type.
        ConfigError: `crs` is unknown, `transform` is none, or a band does not exist.
    """
    pixels: Any = array if hasattr(array, "dtype") else np.asarray(array)
    pixels = pixels[None] if pixels.ndim == 2 else pixels
    if pixels.ndim != 3 or pixels.dtype.kind not in "iuf" or 0 in pixels.shape:
        raise SourceError(
            f"{_NAME}: of shape {pixels.shape} and type {pixels.dtype}; "
            "give real numbers as (bands, height, width)"
        )
    count, height, width = pixels.shape
    given = range(1, count + 1) if bands is None else bands
    used = tuple(band for band in given if isinstance(band, int) and 1 <= band <= count)
    if not used or len(used) != len(given):
        raise ConfigError(f"bands {list(given)}: choose among 1..{count}, the bands of the array")
    place = Affine.identity() if transform is None else transform
    if not isinstance(place, Affine):
        raise ConfigError(
            f"transform {shown(place)}: give an affine.Affine, such as that of a rasterio dataset"
        )
    return ArraySource(
        path=_NAME,
        height=height,
        width=width,
        bands=used,
        dtype=np.dtype(pixels.dtype).name,
        transform=place,
        crs=None if crs is None or place.is_identity else parse_crs(crs),
        file_bands=tuple(FileBand(name, "") for name in names or [""] * count),
        bands_chosen=bands is not None,
        array=pixels,
        values=tuple(float(value) for value in nodata),
    )


def data_array_source(
    array: Any,
    *,
    bands: Sequence[int | str] | None = None,
    nodata: Sequence[float] = (),
    crs: str | CRS | None = None,
) -> ArraySource:
    """An ``xarray.DataArray`` as a source, its place as rioxarray writes it (CF conventions).

    Args:
        array: with the dimensions ``band`` (may be missing), ``y`` and ``x``.
        bands: as of `array_source`.
        nodata: likewise; in place of its own.
        crs: in place of its own.

    Raises:
        SourceError: it has other dimensions, or is no such array.
    """
    dims = tuple(getattr(array, "dims", ()))
    if dims not in (("y", "x"), ("band", "y", "x")):
        raise SourceError(
            f"{type(array).__name__} with dimensions {dims}: give a path, or a DataArray of "
            "(band, y, x); transpose it first"
        )
    attributes = array.coords[_PLACE].attrs if _PLACE in array.coords else {}
    own = array.attrs.get("_FillValue", array.encoding.get("_FillValue"))
    names = array.attrs.get("long_name", ())
    count = array.shape[0] if len(dims) == 3 else 1
    return array_source(
        array.data,
        bands=bands,
        names=names if isinstance(names, tuple | list) and len(names) == count else (),
        nodata=nodata or ([] if own is None or np.isnan(own) else [own]),
        transform=_transform_of(array, attributes),
        crs=crs or attributes.get("crs_wkt") or attributes.get("spatial_ref"),
    )


def _transform_of(array: Any, attributes: Any) -> Affine | None:
    """Pixel corner to CRS, as an attribute says it, or from the centres along both axes."""
    if "GeoTransform" in attributes:
        return Affine.from_gdal(*map(float, attributes["GeoTransform"].split()))
    if not {"x", "y"} <= set(array.coords) or min(array.shape[-2:]) < 2:
        return None
    x, y = (np.asarray(array.coords[name]) for name in "xy")
    steps = [(axis[-1] - axis[0]) / (len(axis) - 1) for axis in (x, y)]
    corner = x[0] - steps[0] / 2, y[0] - steps[1] / 2
    return Affine(steps[0], 0, corner[0], 0, steps[1], corner[1])
