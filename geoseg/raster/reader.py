"""Windows of a raster file: pixels, and which of them are valid.

Invalid are pixels by nodata values, an alpha band, masks, and values that are not finite.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioError
from rasterio.windows import Window as FileWindow

from geoseg.errors import SourceError, TilingError
from geoseg.raster.gdal import CAREFUL, open_dataset, reason
from geoseg.raster.nodata import as_stored
from geoseg.raster.remote import reaching
from geoseg.remote import RemotePath
from geoseg.tiling import Window


@dataclass(frozen=True, slots=True)
class Validity:
    """What makes a pixel invalid, apart from values that are not finite."""

    nodata: tuple[float | None, ...]
    """One value a used band, in its type. A pixel is nodata where all used bands have theirs."""
    alpha: int | None = None
    """The file band that is 0 where pixels are invalid."""
    mask_bands: tuple[int, ...] = ()
    """The file bands whose GDAL masks (internal, ``.msk``, of a VRT) are read: one where all bands
    share a mask. A pixel is valid where any of them says so."""
    more_nodata: tuple[float, ...] = ()
    """Further values: a pixel is nodata, too, where all used bands have the same one of them."""

    @property
    def nodata_values(self) -> tuple[float, ...] | None:
        """The nodata values; None where a band has none, which keeps every pixel valid."""
        values = tuple(value for value in self.nodata if value is not None)
        return values if len(values) == len(self.nodata) else None


def find_validity(
    file: Any, used: Sequence[int], alphas: Sequence[int], nodata: Sequence[float] = ()
) -> Validity:
    """What makes a pixel of a rasterio dataset invalid, by GDAL's order of precedence.

    A mask of the whole dataset or of a band comes before the nodata values that the file declares.

    Args:
        file: the open dataset.
        used: the 1-based bands that are read.
        alphas: the 1-based bands that are marked as alpha.
        nodata: values in place of the declared ones, if any; they count in addition to any mask.
    """
    flags = [file.mask_flag_enums[band - 1] for band in used]
    masks: tuple[int, ...] = ()
    if any(MaskFlags.per_dataset in flag and MaskFlags.alpha not in flag for flag in flags):
        masks = (used[0],)
    elif any(not flag for flag in flags):  # no flag at all: each band has its own mask
        masks = tuple(used)
    values: list[float | None] = []
    for band, flag in zip(used, flags, strict=True):
        declared = MaskFlags.nodata in flag and MaskFlags.per_dataset not in flag
        values.append(file.nodatavals[band - 1] if declared else None)
    if nodata:
        values = [float(nodata[0])] * len(used)
    dtypes = [file.dtypes[band - 1] for band in used]
    stored = tuple(as_stored(value, dtype) for value, dtype in zip(values, dtypes, strict=True))
    unread = [band for band in alphas if band not in used]
    more = tuple(float(as_stored(value, dtypes[0])) for value in nodata[1:])
    return Validity(stored, unread[0] if unread else None, masks, more)


class Reader(ABC):
    """An open handle on a raster, for one thread at a time; readers are independent."""

    path: Path
    """By which the raster is known."""
    height: int
    """Pixels."""
    width: int
    """Pixels."""
    bands: int
    """How many are read."""
    dtype: str
    """numpy's name of the pixels' type."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Close all files."""

    @property
    def overviews(self) -> int:
        """How many overviews there are."""
        return 0

    def read(
        self, row: int, col: int, height: int, width: int, *, out: NDArray[Any] | None = None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """One window inside the raster.

        A pixel is invalid where the dataset's mask says so (nodata in all used bands, alpha 0, mask
        0) or where a used band is not finite.

        Args:
            row: first row of the window.
            col: first column.
            height: rows, at least 1.
            width: columns, at least 1.
            out: ``(bands, height, width)`` of the reader's dtype, filled and returned; a new array
                without it.

        Returns:
            ``(pixels, valid)``: ``(bands, height, width)`` in the reader's dtype, ``(height,
            width)`` bool.

        Raises:
            SourceError: a file is damaged there.
            TilingError: the window does not lie inside the raster.
        """
        inside = row >= 0 and col >= 0 and row + height <= self.height and col + width <= self.width
        if not inside or height < 1 or width < 1:
            raise TilingError(
                f"window of {height} x {width} pixels at row {row}, column {col} does not lie "
                f"inside the raster of {self.height} x {self.width}; clip it first"
            )
        return self._read(Window(row, col, height, width), out)

    @abstractmethod
    def _read(
        self, window: Window, out: NDArray[Any] | None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """The pixels of a window that lies inside."""


class FileReader(Reader):
    """An open raster file.

    Args:
        path: the file.
        bands: the 1-based file bands to read, in this order.
        dtype: numpy's name of the pixels' type.
        validity: what makes a pixel invalid.
        white: the stored value of black, where values are a negative and are turned round.
        overview: read the file's overview of this number (0: the first), not full resolution.

    Raises:
        SourceError: the file cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        *,
        bands: Sequence[int],
        dtype: str,
        validity: Validity,
        white: int | None = None,
        overview: int | None = None,
    ) -> None:
        self.path = path
        self._bands = list(bands)
        self.bands, self.dtype = len(bands), dtype
        self._validity = validity
        self._white = white
        self._file = open_dataset(
            path, **({} if overview is None else {"OVERVIEW_LEVEL": overview})
        )
        self.height: int = self._file.height
        self.width: int = self._file.width
        self._alpha_buffer: NDArray[Any] = np.empty(0, dtype)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def overviews(self) -> int:
        """How many overviews the file has."""
        return len(self._file.overviews(self._bands[0]))

    def _read(
        self, window: Window, out: NDArray[Any] | None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        place = FileWindow(window.col, window.row, window.width, window.height)
        try:
            with self._careful(), reaching(self.path):
                return self._decode(place, out)
        except RasterioError as error:
            rows = f"rows {window.row} to {window.row_end - 1}"
            cols = f"columns {window.col} to {window.col_end - 1}"
            what = f"{self.path}: {rows}, {cols} cannot be read"
            if isinstance(self.path, RemotePath):  # GDAL names the URL, which may be signed
                raise SourceError(
                    f"{what} ({self.path.hide(reason(error))}); the server gives it no more, or it "
                    "is damaged there: the same command continues when that has passed"
                ) from None
            raise SourceError(
                f"{what} ({reason(error)}); the file is damaged or cut short: "
                "copy or export it again"
            ) from error

    def _decode(
        self, window: FileWindow, out: NDArray[Any] | None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        bands, validity = self._bands, self._validity
        size = (window.height, window.width)
        if validity.alpha is None:
            pixels = np.empty((len(bands), *size), self.dtype) if out is None else out
            self._fill(bands, window, pixels)
            valid = np.ones(size, np.bool_)
        else:
            # Alpha comes along in the same call, so that interleaved blocks are decoded once.
            both = self._bands_and_alpha((len(bands) + 1, *size), keep=out is not None)
            self._fill([*bands, validity.alpha], window, both)
            pixels = both[:-1]
            valid = both[-1] != 0
            if out is not None:
                np.copyto(out, pixels)
                pixels = out
        if validity.mask_bands:
            masks = np.zeros((len(validity.mask_bands), *size), np.uint8)
            self._file.read_masks(list(validity.mask_bands), window=window, out=masks)
            valid &= masks.any(axis=0)
        if validity.nodata_values is not None:
            valid &= _differs(pixels, validity.nodata_values)
        for value in validity.more_nodata:
            valid &= _differs(pixels, [value] * len(pixels))
        if np.issubdtype(pixels.dtype, np.floating):
            valid &= np.isfinite(pixels).all(axis=0)
        if self._white is not None:
            np.subtract(self._white, pixels, out=pixels)
        return pixels, valid

    def _careful(self) -> AbstractContextManager[Any]:
        return rasterio.Env(**CAREFUL) if self._file.driver == "PNG" else nullcontext()

    def _fill(self, bands: list[int], window: FileWindow, out: NDArray[Any]) -> None:
        out.fill(0)  # GDAL leaves as it is what a VRT takes from an empty part of its source
        if len({self._file.dtypes[band - 1] for band in bands}) == 1:
            self._file.read(bands, window=window, out=out)
            return
        # Only a VRT mixes types, and rasterio does not read several of them in one call.
        for band, plane in zip(bands, out, strict=True):
            self._file.read(band, window=window, out=plane)

    def _bands_and_alpha(self, shape: tuple[int, int, int], *, keep: bool) -> NDArray[Any]:
        """Room for bands and alpha; reused where the caller keeps no view of it."""
        if not keep:
            return np.empty(shape, self.dtype)
        needed = shape[0] * shape[1] * shape[2]
        if self._alpha_buffer.size < needed:
            self._alpha_buffer = np.empty(needed, self.dtype)
        return self._alpha_buffer[:needed].reshape(shape)


def _differs(pixels: NDArray[Any], nodata: Sequence[float]) -> NDArray[np.bool_]:
    """``(height, width)`` bool: any band differs from its nodata value (NaN never equals)."""
    differs = np.zeros(pixels.shape[1:], np.bool_)
    for band, value in zip(pixels, nodata, strict=True):
        # Compared with a float, whole numbers would all become float64 first.
        whole = value.is_integer() and np.issubdtype(band.dtype, np.integer)
        differs |= band != (int(value) if whole else value)
    return differs
