"""Windows of a source: pixels, and which of them are valid."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window

from geoseg.errors import SourceError, TilingError
from geoseg.raster.dataset import CAREFUL, open_dataset, reason

if TYPE_CHECKING:
    from geoseg.raster.source import Source


class Reader:
    """An open handle on a source, for one thread at a time; further readers of the same source are independent.

    Args:
        source: what to read.
        overview: read the file's overview of this number (0: the first) in place of the full resolution.

    Raises:
        SourceError: the file cannot be opened, or is no longer the one that `source` describes.
    """

    def __init__(self, source: Source, *, overview: int | None = None) -> None:
        self.source = source
        self._file = open_dataset(
            source.path, **({} if overview is None else {"OVERVIEW_LEVEL": overview})
        )
        self.height: int = self._file.height
        self.width: int = self._file.width
        if overview is None and (self.height, self.width) != (source.height, source.width):
            self._file.close()
            raise SourceError(
                f"{source.path}: is {self.height} x {self.width} pixels now and was {source.height} x {source.width} "
                "when it was first opened; start again when the file stands"
            )
        self._alpha_buffer: NDArray[Any] = np.empty(0, source.dtype)

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    @property
    def overviews(self) -> int:
        """How many overviews the file has."""
        return len(self._file.overviews(self.source.bands[0]))

    def read(
        self, row: int, col: int, height: int, width: int, *, out: NDArray[Any] | None = None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """One window inside the raster.

        A pixel is invalid where the dataset's mask says so (nodata in all used bands, alpha 0, mask 0) or where a
        used band is not finite.

        Args:
            row: first row of the window.
            col: first column.
            height: rows, at least 1.
            width: columns, at least 1.
            out: ``(bands, height, width)`` of the source's dtype, filled and given back; a new array without it.

        Returns:
            ``(pixels, valid)``: ``(bands, height, width)`` in the source's dtype, ``(height, width)`` bool.

        Raises:
            SourceError: the file is damaged there.
            TilingError: the window does not lie inside the raster.
        """
        if not (row >= 0 and col >= 0 and height >= 1 and width >= 1) or (
            row + height > self.height or col + width > self.width
        ):
            raise TilingError(
                f"window of {height} x {width} pixels at row {row}, column {col} does not lie inside the raster of "
                f"{self.height} x {self.width}; clip it first"
            )
        window = Window(col, row, width, height)
        try:
            with self._careful():
                return self._read(window, height, width, out)
        except RasterioError as error:
            raise SourceError(
                f"{self.source.path}: rows {row} to {row + height - 1}, columns {col} to {col + width - 1} cannot be "
                f"read ({reason(error)}); the file is damaged or cut short: copy or export it again"
            ) from error

    def _read(
        self, window: Window, height: int, width: int, out: NDArray[Any] | None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        validity = self.source.validity
        bands = list(self.source.bands)
        if validity.alpha is None:
            pixels = (
                np.empty((len(bands), height, width), self.source.dtype) if out is None else out
            )
            self._fill(bands, window, pixels)
            valid = np.ones((height, width), np.bool_)
        else:
            # Alpha comes along in the same call, so that interleaved blocks are decoded once.
            both = self._bands_and_alpha(len(bands) + 1, height, width, keep=out is not None)
            self._fill([*bands, validity.alpha], window, both)
            pixels = both[:-1]
            valid = both[-1] != 0
            if out is not None:
                np.copyto(out, pixels)
                pixels = out
        if validity.mask_bands:
            valid &= self._file.read_masks(list(validity.mask_bands), window=window).any(axis=0)
        if validity.nodata_values is not None:
            valid &= _differs(pixels, validity.nodata_values)
        if np.issubdtype(pixels.dtype, np.floating):
            valid &= np.isfinite(pixels).all(axis=0)
        return pixels, valid

    def _careful(self) -> AbstractContextManager[Any]:
        return rasterio.Env(**CAREFUL) if self._file.driver == "PNG" else nullcontext()

    def _fill(self, bands: list[int], window: Window, out: NDArray[Any]) -> None:
        if len({self._file.dtypes[band - 1] for band in bands}) == 1:
            self._file.read(bands, window=window, out=out)
            return
        for band, plane in zip(
            bands, out, strict=True
        ):  # only a VRT mixes types, and rasterio will not
            self._file.read(band, window=window, out=plane)

    def _bands_and_alpha(self, count: int, height: int, width: int, *, keep: bool) -> NDArray[Any]:
        """Room for bands and alpha; the same room again and again where the caller keeps no view of it."""
        if not keep:
            return np.empty((count, height, width), self.source.dtype)
        needed = count * height * width
        if self._alpha_buffer.size < needed:
            self._alpha_buffer = np.empty(needed, self.source.dtype)
        return self._alpha_buffer[:needed].reshape(count, height, width)


def _differs(pixels: NDArray[Any], nodata: tuple[float, ...]) -> NDArray[np.bool_]:
    """``(height, width)`` bool: True where any band differs from its nodata value (NaN never equals)."""
    differs = np.zeros(pixels.shape[1:], np.bool_)
    for band, value in zip(pixels, nodata, strict=True):
        # Compared with a float, whole numbers would all become float64 first.
        whole = value.is_integer() and np.issubdtype(band.dtype, np.integer)
        differs |= band != (int(value) if whole else value)
    return differs
