"""What one input raster is: size, bands, georeferencing, validity; facts only, no open handle."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import MaskFlags
from rasterio.errors import CRSError

from geoseg.errors import ConfigError, SourceError
from geoseg.raster import ground
from geoseg.raster.bands import FileBand, names_of, option
from geoseg.raster.dataset import opened
from geoseg.raster.reader import Reader


@dataclass(frozen=True, slots=True)
class Validity:
    """What makes a pixel invalid, apart from values that are not finite."""

    nodata: tuple[float | None, ...]
    """One value a used band. A pixel is nodata where all used bands have theirs."""
    alpha: int | None = None
    """The file band that is 0 where pixels are invalid."""
    mask_bands: tuple[int, ...] = ()
    """The file bands whose GDAL masks (internal, ``.msk``, of a VRT) are read: one where all bands share a mask."""

    @property
    def nodata_values(self) -> tuple[float, ...] | None:
        """The nodata values; None where a band has none, which keeps every pixel valid."""
        values = tuple(value for value in self.nodata if value is not None)
        return values if len(values) == len(self.nodata) else None


@dataclass(frozen=True, slots=True)
class Source:
    """One input raster and how it is read; picklable. `open` gives its pixels."""

    path: Path
    height: int
    """Pixels."""
    width: int
    """Pixels."""
    bands: tuple[int, ...]
    """The 1-based file bands that are read, in this order; alpha only where it was asked for by number."""
    dtype: str
    """numpy's name of the pixels' type."""
    transform: Affine
    """Pixel corner to CRS; the identity where the file has no georeferencing."""
    crs: CRS | None
    validity: Validity
    file_bands: tuple[FileBand, ...]
    """All bands of the file, in file order."""
    bands_chosen: bool = False
    """Whether the caller chose the bands by number."""
    warnings: tuple[str, ...] = ()
    """What a user should know about the file, one line each."""

    @property
    def band_names(self) -> tuple[str, ...]:
        """The names of the bands that are read: the file's descriptions, else GDAL's colour interpretation."""
        return tuple(self.file_bands[band - 1].name for band in self.bands)

    @property
    def nodata(self) -> float | None:
        """The nodata value of the bands that are read; None where there is none, or no single one."""
        values = {
            str(value): value for value in self.validity.nodata
        }  # NaN does not equal itself, its name does
        return next(iter(values.values())) if len(values) == 1 else None

    @property
    def georeferenced(self) -> bool:
        """Whether the file says where its pixels lie."""
        return not self.transform.is_identity

    @property
    def ground_sampling(self) -> float | None:
        """Metres on the ground per pixel at the raster's centre; None without CRS or transform."""
        if not self.georeferenced:
            return None
        return ground.ground_sampling(self.transform, self.crs, self.height, self.width)

    def open(self) -> Reader:
        """A reader of the pixels; a context manager. Raises SourceError where the file is gone or has changed."""
        return Reader(self)


def open_raster(
    path: str | Path,
    *,
    bands: Sequence[int] | None = None,
    nodata: float | None = None,
    crs: str | CRS | None = None,
) -> Source:
    """The facts about an input raster; nothing is decoded.

    Args:
        path: a file that GDAL reads.
        bands: 1-based file bands to read, in this order; all but alpha without it.
        nodata: a value that means "no data", in place of the one that the file declares.
        crs: the coordinate system, in place of the file's: ``"EPSG:25832"``, WKT, or a rasterio CRS.

    Raises:
        SourceError: the file cannot be read as an image, or has no such bands.
        ConfigError: `crs` is unknown, or `bands` is empty.
    """
    path = Path(path)
    placed = None if crs is None else parse_crs(crs)
    with opened(path) as file:
        file_bands = tuple(
            FileBand(text or "", color.name)
            for text, color in zip(file.descriptions, file.colorinterp, strict=True)
        )
        used = _used_bands(path, file_bands, bands)
        dtype = np.result_type(*(file.dtypes[band - 1] for band in used))
        if np.issubdtype(dtype, np.complexfloating):
            raise SourceError(
                f"{path}: holds complex numbers; geoseg reads real ones: convert to magnitude first"
            )
        _refuse_cut_short(path, file)
        final_crs = file.crs or None if placed is None or file.transform.is_identity else placed
        return Source(
            path=path,
            height=file.height,
            width=file.width,
            bands=used,
            dtype=dtype.name,
            transform=file.transform,
            crs=final_crs,
            validity=_validity(file, file_bands, used, nodata),
            file_bands=file_bands,
            bands_chosen=bands is not None,
            warnings=tuple(
                f"{path}: {line}"
                for line in _warnings(file, file_bands, used, dtype, nodata, placed)
            ),
        )


def parse_crs(text: str | CRS) -> CRS:
    """The coordinate system that `text` names. Raises ConfigError where PROJ does not know it."""
    try:
        with rasterio.Env():  # else PROJ tells of it too, on a line of its own
            return CRS.from_user_input(text)
    except CRSError as error:
        raise ConfigError(
            f"--crs {text}: not a coordinate system that PROJ knows; give one like EPSG:25832"
        ) from error


def _used_bands(
    path: Path, file_bands: Sequence[FileBand], bands: Sequence[int] | None
) -> tuple[int, ...]:
    if bands is None:
        used = tuple(
            index for index, band in enumerate(file_bands, start=1) if band.color != "alpha"
        )
        if not used:
            raise SourceError(f"{path}: has an alpha band and nothing else; give an image")
        return used
    if not bands:
        raise ConfigError("--bands names no band; give numbers from 1, like --bands 4,1,2")
    for band in bands:
        if not 1 <= band <= len(file_bands):
            raise SourceError(
                f"{path}: {option(bands)} asks for band {band}, the file has {len(file_bands)} "
                f"({names_of(file_bands)}); choose among 1..{len(file_bands)}"
            )
    return tuple(bands)


def _validity(
    file: Any, file_bands: Sequence[FileBand], used: Sequence[int], nodata: float | None
) -> Validity:
    """As GDAL's masks have it: a nodata value that the file declares counts only where no mask stands before it."""
    flags = [file.mask_flag_enums[band - 1] for band in used]
    alphas = [
        index
        for index, band in enumerate(file_bands, start=1)
        if band.color == "alpha" and index not in used
    ]
    masks: tuple[int, ...] = ()
    if any(MaskFlags.per_dataset in flag and MaskFlags.alpha not in flag for flag in flags):
        masks = (used[0],)
    elif any(not flag for flag in flags):  # no flag at all: each band has a mask of its own
        masks = tuple(used)
    declared = [
        file.nodatavals[band - 1]
        if MaskFlags.nodata in flag and MaskFlags.per_dataset not in flag
        else None
        for band, flag in zip(used, flags, strict=True)
    ]
    values = declared if nodata is None else [float(nodata)] * len(used)
    return Validity(tuple(values), alphas[0] if alphas else None, masks)


def _refuse_cut_short(path: Path, file: Any) -> None:
    """Refuse a TIFF whose last block lies beyond its end, and a JPEG without its end, before any work is spent on it.

    GDAL fills what a JPEG lacks with grey, and only warns.
    """
    if file.driver == "JPEG" and not _has_jpeg_end(path.read_bytes()):
        raise SourceError(
            f"{path}: the file is cut short (its end mark is missing); copy or export it again"
        )
    if file.driver != "GTiff":
        return
    rows, cols = file.block_shapes[-1]
    place = f"{(file.width - 1) // cols}_{(file.height - 1) // rows}"
    offset = file.get_tag_item(f"BLOCK_OFFSET_{place}", "TIFF", bidx=file.count)
    length = file.get_tag_item(f"BLOCK_SIZE_{place}", "TIFF", bidx=file.count)
    size = path.stat().st_size
    if offset and length and int(offset) + int(length) > size:
        raise SourceError(
            f"{path}: the file is cut short ({size} bytes, its last block ends at {int(offset) + int(length)}); "
            "copy or export it again"
        )


def _has_jpeg_end(data: bytes) -> bool:
    """Whether the end mark comes after the pixels; a thumbnail in the header has one of its own."""
    at = 2
    while (
        data[at : at + 1] == b"\xff" and data[at + 1 : at + 2] != b"\xda"
    ):  # ITU T.81 B.1.1: segments up to the scan
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return b"\xff\xd9" in data[at:]


def _warnings(
    file: Any,
    file_bands: Sequence[FileBand],
    used: Sequence[int],
    dtype: np.dtype[Any],
    nodata: float | None,
    placed: CRS | None,
) -> list[str]:
    lines = [
        f"band {band} is marked as alpha; it is read as imagery, as asked, and masks nothing"
        for band in used
        if file_bands[band - 1].color == "alpha"
    ]
    if nodata is not None and not _can_hold(dtype, nodata):
        lines.append(f"--nodata {nodata:g} cannot occur in {dtype.name} pixels; it has no effect")
    if not file.transform.is_identity:
        lines += _crs_warnings(file.crs, placed)
    elif file.gcps[0]:
        lines.append(
            "is placed by ground control points only, which are not used; warp it first to keep its place"
        )
    elif placed is not None:
        lines.append("has no transform and no world file; --crs cannot place it")
    else:
        lines.append("has no georeferencing: outputs carry none either, and areas stay empty")
    return lines


def _crs_warnings(found: CRS | None, placed: CRS | None) -> list[str]:
    if placed is None and not found:
        return [
            "has no coordinate system: ground sampling is not checked, and areas stay empty; --crs mends it"
        ]
    if placed is not None and found and found != placed:
        return [
            f"its coordinate system {found.to_string()} is replaced by --crs {placed.to_string()}"
        ]
    return []


def _can_hold(dtype: np.dtype[Any], value: float) -> bool:
    if np.issubdtype(dtype, np.floating):
        return True
    limits = np.iinfo(dtype)
    return math.isfinite(value) and value == int(value) and bool(limits.min <= value <= limits.max)
