"""A rectangle of an image and its labels as two separate files, strip by strip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.transform import Affine
from rasterio.windows import Window as FileWindow

from geoseg.classes import NODATA, ClassScheme
from geoseg.datasets.crops import Crop
from geoseg.datasets.polygon_labels import PolygonLabels
from geoseg.datasets.statistics import Statistics
from geoseg.datasets.tiles import Labels
from geoseg.raster import Reader, Source
from geoseg.tiling import Window
from geoseg.unwritable import naming_file
from geoseg.warned import hear_warnings

_ROWS, _COLS = 512, 8192
"""Pixels that are read and written at a time: whole blocks of the files."""
_FILE_BLOCK = 256
"""Side of the blocks that the files are stored in."""


@dataclass(frozen=True, slots=True)
class OutputProfile:
    """What the files of one image have in common."""

    image: Source
    band_names: tuple[str, ...]
    scheme: ClassScheme

    @property
    def masked(self) -> bool:
        """Whether validity needs a mask: a single nodata value says it in fewer bytes."""
        return self.image.needs_mask

    @property
    def image_options(self) -> dict[str, Any]:
        """What rasterio is to know about the image's file."""
        image = self.image
        is_rgb = image.dtype == "uint8" and self.band_names == ("red", "green", "blue")
        return {
            "count": len(image.bands),
            "dtype": image.dtype,
            "nodata": None if self.masked else image.nodata,
            # Without it four bands would be taken for RGB and alpha.
            "photometric": "rgb" if is_rgb else "minisblack",
            "predictor": 3 if np.dtype(image.dtype).kind == "f" else 2,
        }


def write_crop(
    crop: Crop,
    reader: Reader,
    labels: Labels,
    profile: OutputProfile,
    files: tuple[Path, Path],
    stopped: Callable[[], bool] = lambda: False,
) -> Statistics:
    """Write the image file and the labels file of a crop; returns what they hold.

    Both are tiled GeoTIFFs with the image's coordinate system and the crop's own transform; labels
    are class ids, 255 nodata, with the classes' colours. `stopped` is asked before each strip; True
    ends the work with KeyboardInterrupt.

    Raises:
        SourceError: image or labels are damaged there.
        OutputError: a file cannot be written.
    """
    scheme = profile.scheme
    total = Statistics((0,) * len(scheme))
    label_options = {"count": 1, "dtype": "uint8", "nodata": NODATA, "photometric": "palette"}
    with (
        _create(files[0], crop, profile.image, profile.image_options) as image_file,
        _create(files[1], crop, profile.image, label_options) as labels_file,
    ):
        names = ("" if name == "undefined" else name for name in profile.band_names)
        image_file.descriptions = tuple(names)
        labels_file.descriptions = ("class",)
        palette = {index: (*color, 255) for index, color in enumerate(scheme.colors)}
        labels_file.write_colormap(1, palette)
        for window in _strips(crop.window):
            if stopped():
                raise KeyboardInterrupt
            pixels, valid = reader.read(window.row, window.col, window.height, window.width)
            ids = labels.read(window)
            if isinstance(labels, PolygonLabels):
                ids[~valid] = NODATA  # whatever was drawn there; rasters stay as they are
            total += Statistics.from_window(pixels, valid, ids, len(scheme))
            pixels, valid, ids = _pad(crop, window, pixels, valid, ids)
            row, col = window.row - crop.window.row, window.col - crop.window.col
            place = FileWindow(col, row, ids.shape[1], ids.shape[0])
            image_file.write(pixels, window=place)
            labels_file.write(ids, 1, window=place)
            if profile.masked:
                image_file.write_mask(valid, window=place)
    return total


def _strips(area: Window) -> Iterator[Window]:
    for row in range(area.row, area.row_end, _ROWS):
        for col in range(area.col, area.col_end, _COLS):
            yield Window(row, col, min(_ROWS, area.row_end - row), min(_COLS, area.col_end - col))


def _pad(
    crop: Crop,
    window: Window,
    pixels: NDArray[Any],
    valid: NDArray[np.bool_],
    ids: NDArray[np.uint8],
) -> tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.uint8]]:
    """A strip; a last one with unlabelled zeros where its file reaches beyond the raster."""
    area = crop.window
    rows = crop.height - area.height if window.row_end == area.row_end else 0
    cols = crop.width - area.width if window.col_end == area.col_end else 0
    if not rows and not cols:
        return pixels, valid, ids
    missing = ((0, rows), (0, cols))
    return (
        np.pad(pixels, ((0, 0), *missing)),
        np.pad(valid, missing),
        np.pad(ids, missing, constant_values=NODATA),
    )


@contextmanager
def _create(path: Path, crop: Crop, image: Source, options: dict[str, Any]) -> Iterator[Any]:
    """A GeoTIFF open for writing, with its errors in one line."""
    if image.georeferenced:
        shift = Affine.translation(crop.window.col, crop.window.row)
        options = options | {"transform": image.transform @ shift}
    with (
        naming_file(path, (RasterioError, OSError), "DST"),
        hear_warnings(NotGeoreferencedWarning),  # a plain PNG is fine
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            path,
            "w",
            driver="GTiff",
            height=crop.height,
            width=crop.width,
            crs=image.crs,
            tiled=True,
            blockxsize=_FILE_BLOCK,
            blockysize=_FILE_BLOCK,
            compress="deflate",
            zlevel=1,
            BIGTIFF="IF_SAFER",
            **options,
        ) as file,
    ):
        yield file
