"""A raster file as a source: what it says of itself, its bands chosen, nothing decoded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.crs import CRS

from geoseg.errors import ConfigError, SourceError
from geoseg.raster.array_source import data_array_source
from geoseg.raster.bands import FileBand, bands_option, names_of, order_by_name
from geoseg.raster.crs import parse_crs
from geoseg.raster.fingerprint import SeenSource
from geoseg.raster.gdal import open_dataset, reading_metadata
from geoseg.raster.integrity import refuse_cut_short
from geoseg.raster.metadata import place_note, refuse_broken_metadata, value_notes
from geoseg.raster.negative import find_negative
from geoseg.raster.nodata import given_values, refuse_impossible
from geoseg.raster.read_cost import ReadCost
from geoseg.raster.reader import FileReader, Validity, find_validity
from geoseg.raster.source import Source
from geoseg.remote import source_path


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSource(Source):
    """One raster file and how it is read."""

    validity: Validity
    white: int | None = None
    """Where values are stored as a negative: the one that is stored for black."""

    @property
    def nodata(self) -> float | None:
        """As `Source.nodata`."""
        # By their names, for NaN does not equal itself.
        values = {str(value): value for value in self.validity.nodata + self.validity.more_nodata}
        value = next(iter(values.values())) if len(values) == 1 else None
        return value if value is None or self.white is None else self.white - value

    @property
    def masked_by(self) -> tuple[str, ...]:
        """As `Source.masked_by`."""
        validity = self.validity
        names = [] if validity.nodata_values is None else ["nodata"]
        names += [] if validity.alpha is None else [f"alpha (band {validity.alpha})"]
        return (*names, *(["mask"] if validity.mask_bands else []))

    @property
    def needs_mask(self) -> bool:
        """As `Source.needs_mask`."""
        validity = self.validity
        several_nodata = validity.nodata_values is not None and self.nodata is None
        return bool(validity.alpha or validity.mask_bands) or several_nodata

    @property
    def facts(self) -> str:
        """As `Source.facts`."""
        return repr((self.bands, self.dtype, self.validity, self.white))

    def stored(self, value: float) -> float:
        """As `Source.stored`."""
        return value if self.white is None else self.white - value

    def see(self) -> SeenSource:
        """As `Source.see`."""
        return SeenSource.at(self.path)

    def _open(self, overview: int | None) -> FileReader:
        reader = FileReader(
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
    path: str | Path | Any,
    *,
    bands: Sequence[int | str] | None = None,
    wanted: Sequence[str] = (),
    nodata: float | Sequence[float] | None = None,
    crs: str | CRS | None = None,
    as_stored: bool = False,
) -> Source:
    """The facts about an input raster; nothing is decoded.

    Args:
        path: a file that GDAL reads, also on a server (``https://``, ``s3://``, ``gs://``,
            ``az://``) or in an archive (``/vsizip/ARCHIVE.zip/FILE``); or an ``xarray.DataArray``
            with what rioxarray knows of it, for which `bands` are numbers.
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
    if not isinstance(path, str | os.PathLike):
        return data_array_source(path, bands=bands, nodata=given_values(nodata), crs=crs)
    path = source_path(path)
    given_crs = None if crs is None else parse_crs(crs)
    given_nodata = given_values(nodata)
    with open_dataset(path) as file, reading_metadata(path):
        file_bands = tuple(
            FileBand(text or "", color.name)
            for text, color in zip(file.descriptions, file.colorinterp, strict=True)
        )
        alphas = [number for number, band in enumerate(file_bands, 1) if band.color == "alpha"]
        if bands is None:
            used = bands_by_default(path, file_bands, wanted)
        else:
            used = chosen_bands(path, file_bands, bands)
        dtype = _common_dtype(path, [file.dtypes[band - 1] for band in used])
        refuse_cut_short(path, file)
        refuse_broken_metadata(path, file, used, given_crs)
        white, negative_note = find_negative(path, file, used, as_stored=as_stored)
        notes = [*filter(None, [negative_note]), *value_notes(file, used)]
        lines = band_notes(file_bands, used, chosen=bands is not None)
        refuse_impossible(path, [file.dtypes[band - 1] for band in used], given_nodata)
        lines += [*notes, place_note(file, given_crs)]
        return FileSource(
            path=path,
            height=file.height,
            width=file.width,
            bands=used,
            dtype=dtype.name,
            transform=file.transform,
            # A coordinate system without a place for the pixels says nothing about them.
            crs=None if file.transform.is_identity else given_crs or file.crs or None,
            validity=find_validity(file, used, alphas, given_nodata),
            read_cost=_read_cost(file),
            white=white,
            file_bands=file_bands,
            bands_chosen=bands is not None,
            notes=tuple(notes),
            warnings=tuple(f"{path}: {line}" for line in lines if line),
        )


def _common_dtype(path: Path, names: Sequence[str]) -> np.dtype[Any]:
    """A dtype that holds the values of all bands."""
    if any(name.startswith("complex") for name in names):  # numpy has no complex integers
        raise SourceError(
            f"{path}: holds complex numbers; geoseg reads real ones: convert to magnitude first"
        )
    return np.result_type(*names)


def band_notes(file_bands: Sequence[FileBand], used: Sequence[int], *, chosen: bool) -> list[str]:
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


def _read_cost(file: Any) -> ReadCost:
    """That of a dataset's largest strip or tile: of all bands, where it mixes them."""
    sizes: list[int] = [
        rows * cols * np.dtype(dtype).itemsize
        for (rows, cols), dtype in zip(file.block_shapes, file.dtypes, strict=True)
    ]
    mixed = file.tags(ns="IMAGE_STRUCTURE").get("INTERLEAVE", "BAND").upper() == "PIXEL"
    striped = any(cols == file.width for _, cols in file.block_shapes)
    return ReadCost(max(sizes) * (file.count if mixed else 1), striped)


def _imagery_bands(file_bands: Sequence[FileBand]) -> tuple[int, ...]:
    """All bands but alpha."""
    return tuple(number for number, band in enumerate(file_bands, 1) if band.color != "alpha")


def bands_by_default(
    path: Path, file_bands: Sequence[FileBand], wanted: Sequence[str]
) -> tuple[int, ...]:
    """The wanted bands where names decide, else all; alpha never."""
    imagery = _imagery_bands(file_bands)
    if not imagery:
        raise SourceError(f"{path}: has an alpha band and nothing else; give an image")
    by_name = order_by_name(wanted, file_bands)
    return by_name if by_name and set(by_name) <= set(imagery) else imagery


def chosen_bands(
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
