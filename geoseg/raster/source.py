"""What one input raster is: size, bands, georeferencing, validity; facts only, no open handle."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError

from geoseg import geodesy
from geoseg.errors import ConfigError, SourceError
from geoseg.raster.bands import FileBand, bands_option, names_of, order_by_name
from geoseg.raster.gdal import open_dataset, reading_metadata
from geoseg.raster.integrity import refuse_cut_short
from geoseg.raster.metadata import place_note, refuse_broken_metadata, value_notes
from geoseg.raster.negative import find_negative
from geoseg.raster.nodata import given_values, refuse_impossible
from geoseg.raster.reader import Reader, Validity, find_validity

_FETCHED = re.compile(r"\s*(/vsi|\w[\w+.-]+:/)", re.IGNORECASE)
"""How a coordinate system begins that GDAL would fetch."""


@dataclass(frozen=True, slots=True)
class Source:
    """One input raster and how it is read; picklable. `open` gives its pixels."""

    path: Path
    height: int
    """Pixels."""
    width: int
    """Pixels."""
    bands: tuple[int, ...]
    """The 1-based file bands that are read, in this order; alpha only if asked for."""
    dtype: str
    """numpy's name of the pixels' type."""
    transform: Affine
    """Pixel corner to CRS; the identity where the file has no georeferencing."""
    crs: CRS | None
    """None where the file has none, or no transform that it could go with."""
    validity: Validity
    file_bands: tuple[FileBand, ...]
    """All bands of the file, in file order."""
    bands_chosen: bool
    """Whether the caller chose the bands, by number or by name."""
    white: int | None = None
    """Where values are stored as a negative: the one that is stored for black."""
    notes: tuple[str, ...] = ()
    """What its metadata says about values and pages, one line each, without the path."""
    warnings: tuple[str, ...] = ()
    """What a user should know about the file, the notes too, one line each."""
    block_bytes: int = 0
    """Of the file's strips or tiles: GDAL decodes a whole one, however little of it is read."""

    @property
    def band_names(self) -> tuple[str, ...]:
        """The names of the bands that are read: descriptions, else GDAL's colour interpretation."""
        return tuple(self.file_bands[band - 1].name for band in self.bands)

    @property
    def nodata(self) -> float | None:
        """The nodata value among those that are read; None where there is none or several."""
        # By their names, for NaN does not equal itself.
        values = {str(value): value for value in self.validity.nodata + self.validity.more_nodata}
        value = next(iter(values.values())) if len(values) == 1 else None
        return value if value is None or self.white is None else self.white - value

    @property
    def georeferenced(self) -> bool:
        """Whether the file says where its pixels lie."""
        return not self.transform.is_identity

    @property
    def ground_sampling(self) -> float | None:
        """Metres on the ground per pixel at the raster's centre; None without CRS or transform."""
        if not self.georeferenced:
            return None
        return geodesy.ground_sampling(self.transform, self.crs, self.height, self.width)

    def open(self, *, overview: int | None = None) -> Reader:
        """A reader of the pixels; a context manager.

        Args:
            overview: read the file's overview of this number (0: the first) in place of full
                resolution.

        Raises:
            SourceError: the file cannot be opened, or is no longer the one that this describes.
        """
        reader = Reader(
            self.path,
            bands=self.bands,
            dtype=self.dtype,
            validity=self.validity,
            white=self.white,
            overview=overview,
        )
        size = (reader.height, reader.width)
        if overview is None and size != (self.height, self.width):
            reader.close()
            raise SourceError(
                f"{self.path}: is {size[0]} x {size[1]} pixels now and was "
                f"{self.height} x {self.width} when it was first opened; "
                "start again when the file is complete"
            )
        return reader


def open_raster(
    path: str | Path,
    *,
    bands: Sequence[int | str] | None = None,
    wanted: Sequence[str] = (),
    nodata: float | Sequence[float] | None = None,
    crs: str | CRS | None = None,
    as_stored: bool = False,
) -> Source:
    """The facts about an input raster; nothing is decoded.

    Args:
        path: a file that GDAL reads.
        bands: 1-based file bands to read, or their names, in this order.
        wanted: without `bands`, the names of those to read where the file has each of them once.
            Else, and without both, all but alpha are read.
        nodata: the values that mean "no data", in place of the one that the file declares.
        crs: the coordinate system, in place of the file's: ``"EPSG:25832"``, WKT or a rasterio CRS.
        as_stored: leave the values of a MinIsWhite file as they are: labels, not brightness.

    Raises:
        SourceError: the file cannot be read as an image, has no such bands, or cannot hold a value
            that is given as nodata.
        ConfigError: `crs` is unknown, or `bands` is empty.
    """
    path = Path(path)
    given_crs = None if crs is None else parse_crs(crs)
    given_nodata = given_values(nodata)
    with open_dataset(path) as file, reading_metadata(path):
        file_bands = tuple(
            FileBand(text or "", color.name)
            for text, color in zip(file.descriptions, file.colorinterp, strict=True)
        )
        alphas = [number for number, band in enumerate(file_bands, 1) if band.color == "alpha"]
        if bands is None:
            used = _bands_by_default(path, file_bands, wanted)
        else:
            used = _chosen_bands(path, file_bands, bands)
        dtype = _common_dtype(path, [file.dtypes[band - 1] for band in used])
        refuse_cut_short(path, file)
        refuse_broken_metadata(path, file, used, given_crs)
        white, negative_note = find_negative(path, file, used, as_stored=as_stored)
        notes = [*filter(None, [negative_note]), *value_notes(file, used)]
        lines = _band_notes(file_bands, used, chosen=bands is not None)
        refuse_impossible(path, [file.dtypes[band - 1] for band in used], given_nodata)
        lines += [*notes, place_note(file, given_crs)]
        return Source(
            path=path,
            height=file.height,
            width=file.width,
            bands=used,
            dtype=dtype.name,
            transform=file.transform,
            # A coordinate system without a place for the pixels says nothing about them.
            crs=None if file.transform.is_identity else given_crs or file.crs or None,
            validity=find_validity(file, used, alphas, given_nodata),
            block_bytes=_block_bytes(file),
            white=white,
            file_bands=file_bands,
            bands_chosen=bands is not None,
            notes=tuple(notes),
            warnings=tuple(f"{path}: {line}" for line in lines if line),
        )


def parse_crs(text: str | CRS) -> CRS:
    """The coordinate system that `text` names.

    Raises:
        ConfigError: PROJ does not know it, or would have to fetch it.
    """
    if isinstance(text, str) and _FETCHED.match(text):
        raise ConfigError(
            f"--crs {text}: is not looked up on servers or in archives; give one like EPSG:25832"
        )
    try:
        with rasterio.Env():  # else PROJ prints its own line too
            known = CRS.from_user_input(text)
    except CRSError as error:
        raise ConfigError(
            f"--crs {text}: not a coordinate system that PROJ knows; give one like EPSG:25832"
        ) from error
    if fault := geodesy.crs_fault(known):
        raise ConfigError(
            f"--crs {text}: PROJ cannot compute with it ({fault}); give one like EPSG:25832"
        )
    return known


def _common_dtype(path: Path, names: Sequence[str]) -> np.dtype[Any]:
    """A dtype that holds the values of all bands."""
    if any(name.startswith("complex") for name in names):  # numpy has no complex integers
        raise SourceError(
            f"{path}: holds complex numbers; geoseg reads real ones: convert to magnitude first"
        )
    return np.result_type(*names)


def _band_notes(file_bands: Sequence[FileBand], used: Sequence[int], *, chosen: bool) -> list[str]:
    """What is worth knowing about the bands that are read."""
    lines = [
        f"band {band} is marked as alpha; it is read as imagery, as given, and masks nothing"
        for band in used
        if file_bands[band - 1].color == "alpha"
    ]
    if not chosen and used != _imagery_bands(file_bands):
        lines.append(
            f"bands {','.join(map(str, used))} "
            f"({names_of([file_bands[band - 1] for band in used])}) are chosen by name; "
            "--bands chooses others"
        )
    return lines


def _block_bytes(file: Any) -> int:
    """Bytes of a dataset's largest strip or tile: of all bands, where it mixes them."""
    sizes: list[int] = [
        rows * cols * np.dtype(dtype).itemsize
        for (rows, cols), dtype in zip(file.block_shapes, file.dtypes, strict=True)
    ]
    mixed = file.tags(ns="IMAGE_STRUCTURE").get("INTERLEAVE", "BAND").upper() == "PIXEL"
    return max(sizes) * (file.count if mixed else 1)


def _imagery_bands(file_bands: Sequence[FileBand]) -> tuple[int, ...]:
    """All bands but alpha."""
    return tuple(number for number, band in enumerate(file_bands, 1) if band.color != "alpha")


def _bands_by_default(
    path: Path, file_bands: Sequence[FileBand], wanted: Sequence[str]
) -> tuple[int, ...]:
    """The wanted bands where names decide, else all; alpha never."""
    imagery = _imagery_bands(file_bands)
    if not imagery:
        raise SourceError(f"{path}: has an alpha band and nothing else; give an image")
    by_name = order_by_name(wanted, file_bands)
    return by_name if by_name and set(by_name) <= set(imagery) else imagery


def _chosen_bands(
    path: Path, file_bands: Sequence[FileBand], bands: Sequence[int | str]
) -> tuple[int, ...]:
    """The bands that the caller chose, names looked up."""
    if not bands:
        raise ConfigError("--bands names no band; give numbers from 1, like --bands 4,1,2")
    count, option = len(file_bands), bands_option(bands)
    names = [band for band in bands if isinstance(band, str)]
    by_name = order_by_name(names, file_bands)
    if by_name is None:
        lost = next((name for name in names if not order_by_name([name], file_bands)), names[0])
        raise SourceError(
            f"{path}: {option} asks for one band named {lost}, the file has {count} "
            f"({names_of(file_bands)}); give numbers, among 1..{count}"
        )
    number_of = dict(zip(names, by_name, strict=True))
    used = tuple(number_of[band] if isinstance(band, str) else band for band in bands)
    for band in used:
        if not 1 <= band <= count:
            raise SourceError(
                f"{path}: {option} asks for band {band}, the file has {count} "
                f"({names_of(file_bands)}); choose among 1..{count}"
            )
    return used
