"""What one input is: size, bands, place, validity; facts only, no open handle.

A source is a raster file, or anything that reads like one; what works on sources knows no kinds.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self, SupportsIndex

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from geoseg import geodesy
from geoseg.errors import SourceError
from geoseg.places import AnyPath
from geoseg.raster.area import Area, AreaReader
from geoseg.raster.bands import FileBand
from geoseg.raster.bring_back import Onto
from geoseg.raster.read_cost import NO_COST, ReadCost
from geoseg.raster.reader import Reader
from geoseg.raster.resampling import ResampledReader, centred
from geoseg.raster.seen import Seen, SeenSources
from geoseg.raster.stored import Reference, referred, write_source
from geoseg.tiling import Window

_ROUNDING = 1e-6  # pixels by which a size may be beyond a whole number
_SHARED = ("path", "bands", "dtype", "crs", "file_bands", "bands_chosen", "notes", "warnings")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source(ABC):
    """One input and how it is read; picklable. `open` gives its pixels."""

    path: Path
    """By which it is known: a file, or the folder or list that names several."""
    height: int
    width: int
    """Pixels, as the height is."""
    bands: tuple[int, ...]
    """The 1-based bands of `file_bands` that are read, in this order; alpha only if asked for."""
    dtype: str
    """numpy's name of the pixels' type."""
    transform: Affine
    """Pixel corner to CRS; the identity where there is no georeferencing."""
    crs: CRS | None
    """None where there is none, or no transform that it could go with."""
    file_bands: tuple[FileBand, ...]
    """All bands, in file order."""
    bands_chosen: bool
    """Whether the caller chose the bands, by number or by name."""
    notes: tuple[str, ...] = ()
    """What its metadata says about values and pages, one line each, without the path."""
    warnings: tuple[str, ...] = ()
    """What a user should know about the file, the notes too, one line each."""
    read_cost: ReadCost = NO_COST
    """What reading it holds in memory."""
    beside: tuple[int, ...] = ()
    """Positions of bands from files beside the image: options on nodata say nothing of them."""
    area: Area | None = None
    """What of it is wanted; None: all."""
    reference: Reference | None = field(default=None, repr=False, compare=False)
    """Given where it travels as a reference to a file."""

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        """Pickled, it is its reference, if it has one."""
        if self.reference is None:
            return object.__reduce_ex__(self, protocol)
        return referred, (self.reference,)

    def stored_in(self, folder: AnyPath) -> Self:
        """The same source, pickled as a reference to a file in this folder if it is large.

        Raises:
            OutputError: the folder cannot be written.
        """
        return replace(self, reference=write_source(replace(self, reference=None), folder))

    def see(self) -> Seen:
        """The files that it is made of, as they are now.

        Raises:
            SourceError: one of them cannot be read.
        """
        return SeenSources.at(self.path, self.files, self.facts)

    @abstractmethod
    def _open(self, overview: int | None) -> Reader:
        """A reader of all pixels."""

    def open(self, *, overview: int | None = None) -> Reader:
        """A reader of the pixels; a context manager.

        Args:
            overview: read the overview of this number (0: the first) in place of full resolution.

        Raises:
            SourceError: it cannot be opened, or is no longer the one that this describes.
        """
        reader = self._open(overview)
        return reader if self.area is None else AreaReader(reader, self.area)

    def clip(self, area: Area) -> Self:
        """The same raster, of which only this is wanted; `geoseg.read_area` makes it of a file.

        Pixels farther from the area than its reach are neither read nor valid.
        """
        return replace(self, area=area)

    def resample(self, ground_sampling: float, *, back: bool = False) -> ResampledSource:
        """The same raster with pixels of another size, made while it is read.

        Means of areas where its own are smaller, bilinear where they are larger. Its rows and
        columns stay where they are; pixels become square on the ground.

        Args:
            ground_sampling: metres per pixel at the raster's centre.
            back: outputs of a prediction are brought back to the raster's own pixels.

        Raises:
            SourceError: it has no place on the ground.
        """
        own = geodesy.extent(self.transform, self.crs, self.height, self.width)
        if own is None or not self.georeferenced:
            raise SourceError(
                f"{self.path}: has no ground sampling, so that it cannot be resampled; give it a "
                "place (a GeoTIFF with CRS, or --crs EPSG:N where that alone is missing)"
            )
        down, across = ground_sampling * self.height / own[1], ground_sampling * self.width / own[0]
        return ResampledSource(
            below=self,
            back=back,
            scale=(down, across),
            height=math.ceil(self.height / down - _ROUNDING),
            width=math.ceil(self.width / across - _ROUNDING),
            transform=self.transform @ Affine.scale(across, down),
            beside=self.beside,
            read_cost=self.read_cost.beneath(),
            **{name: getattr(self, name) for name in _SHARED},
        )

    def covered(self, window: Window) -> Window | None:
        """The pixels of `target` whose centres lie in a window of what it is made of, if any do."""
        return window

    @property
    def target(self) -> Source:
        """The raster whose pixels outputs have."""
        return self

    @property
    def onto(self) -> Onto | None:
        """How outputs are brought to the pixels of `target`; None where they are its own."""
        return None

    def on_target(self, window: Window) -> Window:
        """The pixels of `target` whose centres lie in a window."""
        return window

    @property
    def shown(self) -> Window:
        """The rectangle of `target` that outputs show."""
        return self.on_target(self.extent)

    @property
    def extent(self) -> Window:
        """The rectangle that holds all that is wanted."""
        return Window(0, 0, self.height, self.width) if self.area is None else self.area.extent

    def wanted(self, valid: NDArray[np.bool_], window: Window) -> NDArray[np.bool_]:
        """``(height, width)``: the valid pixels of a window that are wanted."""
        return valid if self.area is None else valid & self.area.mask(window)

    @property
    def band_names(self) -> tuple[str, ...]:
        """The names of the bands that are read: descriptions, else GDAL's colour interpretation."""
        return tuple(self.file_bands[band - 1].name for band in self.bands)

    @property
    def nodata(self) -> float | None:
        """The nodata value among those that are read; None where there is none or several."""
        return None

    @property
    def masked_by(self) -> tuple[str, ...]:
        """What makes pixels invalid, besides values that are not finite."""
        return ("mask",)

    @property
    def needs_mask(self) -> bool:
        """Whether a copy needs a mask to be as valid: a single nodata value does not say it."""
        return True

    def stored(self, value: float) -> float:
        """A value as the file stores it: a negative's values are turned round in reading."""
        return value

    def without(self, sheet: str) -> Source:
        """The same raster, no data where only this file of it has pixels.

        Raises:
            SourceError: it has no other files.
        """
        raise SourceError(f"{sheet}: cannot be read any more; check it")

    @property
    def parts(self) -> tuple[tuple[Source, tuple[int, ...]], ...]:
        """The rasters whose values are looked at one by one, and which of its bands are theirs."""
        return ((self, tuple(range(len(self.bands)))),)

    @property
    def facts(self) -> str:
        """What decides its pixels besides the content of its files."""
        return repr((self.bands, self.dtype))

    @property
    def files(self) -> tuple[Path, ...]:
        """The rasters that it is made of."""
        return (self.path,)

    @property
    def georeferenced(self) -> bool:
        """Whether it says where its pixels lie."""
        return not self.transform.is_identity

    @property
    def ground_sampling(self) -> float | None:
        """Metres on the ground per pixel at the raster's centre; None without CRS or transform."""
        if not self.georeferenced:
            return None
        return geodesy.ground_sampling(self.transform, self.crs, self.height, self.width)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResampledSource(Source):
    """A raster at another ground sampling: see `Source.resample`."""

    below: Source
    scale: tuple[float, float]
    """Rows and columns of the raster below a row and a column."""
    back: bool = False
    """Whether outputs have the pixels of the raster below."""

    @property
    def target(self) -> Source:
        """As `Source.target`."""
        return self.below if self.back else self

    @property
    def onto(self) -> Onto | None:
        """As `Source.onto`."""
        scale = 1 / self.scale[0], 1 / self.scale[1]
        return Onto(self.height, self.width, scale) if self.back else None

    def on_target(self, window: Window) -> Window:
        """As `Source.on_target`."""
        if not self.back:
            return window
        (down, across), below = self.scale, self.below
        rows = centred(window.row, window.row_end, 1 / down, self.height, below.height)
        cols = centred(window.col, window.col_end, 1 / across, self.width, below.width)
        return Window(rows[0], cols[0], rows[1] - rows[0], cols[1] - cols[0])

    @property
    def files(self) -> tuple[Path, ...]:
        """As `Source.files`."""
        return self.below.files

    @property
    def facts(self) -> str:
        """As `Source.facts`."""
        return repr((self.scale, self.back, self.below.facts))

    def covered(self, window: Window) -> Window | None:
        """As `Source.covered`."""
        if self.back:
            return window
        (down, across), below = self.scale, self.below
        row, row_end = centred(window.row, window.row_end, down, below.height, self.height)
        col, col_end = centred(window.col, window.col_end, across, below.width, self.width)
        if row_end <= row or col_end <= col:
            return None
        return Window(row, col, row_end - row, col_end - col)

    def stored(self, value: float) -> float:
        """As `Source.stored`."""
        return self.below.stored(value)

    def without(self, sheet: str) -> Source:
        """As `Source.without`."""
        return replace(self, below=self.below.without(sheet))

    def _open(self, overview: int | None) -> Reader:  # noqa: ARG002 - it has none
        size, striped = (self.height, self.width), self.below.read_cost.striped
        return ResampledReader(self.below.open(), *size, self.scale, striped=striped)
