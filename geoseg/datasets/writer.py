"""A rectangle of an image and its labels as two files of their own, strip by strip."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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
from geoseg.datasets.labels import Labels
from geoseg.datasets.patches import Piece
from geoseg.datasets.tally import Tally
from geoseg.errors import GeosegError, OutputError
from geoseg.raster import Reader, Source
from geoseg.tiling import Window

_ROWS, _COLS = 512, 8192
"""Pixels that are read and written at a time: whole blocks of the files, some 40 MB of three bands at work."""
_BLOCK = 256


@dataclass(frozen=True, slots=True)
class Form:
    """What the files of one image have in common."""

    image: Source
    band_names: tuple[str, ...]
    scheme: ClassScheme

    @property
    def masked(self) -> bool:
        """Whether validity needs a mask of its own: a single nodata value says it in fewer bytes."""
        validity = self.image.validity
        return bool(validity.alpha or validity.mask_bands) or (
            validity.nodata_values is not None and self.image.nodata is None
        )


def write_piece(
    piece: Piece, reader: Reader, labels: Labels, form: Form, image_path: Path, labels_path: Path
) -> Tally:
    """Write the files of one piece; what they hold.

    Both are tiled GeoTIFFs with the image's coordinate system and the piece's own transform; labels are class ids,
    255 nodata, with the classes' colours.

    Raises:
        SourceError: image or labels are damaged there.
        OutputError: a file cannot be written.
    """
    tally = Tally((0,) * len(form.scheme))
    with ExitStack() as stack:
        image_file = stack.enter_context(
            _new(image_path, piece, form.image, **_image_profile(form))
        )
        labels_file = stack.enter_context(
            _new(
                labels_path,
                piece,
                form.image,
                count=1,
                dtype="uint8",
                nodata=NODATA,
                photometric="palette",
            )
        )
        image_file.descriptions = tuple(
            "" if name == "undefined" else name for name in form.band_names
        )
        labels_file.descriptions = ("class",)
        labels_file.write_colormap(
            1, {index: (*color, 255) for index, color in enumerate(form.scheme.colors)}
        )
        for window in _strips(piece.window):
            pixels, valid = reader.read(window.row, window.col, window.height, window.width)
            ids = labels.read(window, valid)
            tally += Tally.of(pixels, valid, ids, len(form.scheme))
            pixels, valid, ids = _padded(piece, window, pixels, valid, ids)
            place = FileWindow(
                window.col - piece.window.col, window.row - piece.window.row, *ids.shape[::-1]
            )
            image_file.write(pixels, window=place)
            labels_file.write(ids, 1, window=place)
            if form.masked:
                image_file.write_mask(valid, window=place)
    return tally


def _image_profile(form: Form) -> dict[str, Any]:
    image = form.image
    is_rgb = image.dtype == "uint8" and form.band_names == ("red", "green", "blue")
    return {
        "count": len(image.bands),
        "dtype": image.dtype,
        "nodata": None if form.masked else image.nodata,
        "photometric": "rgb"
        if is_rgb
        else "minisblack",  # without it four bands would be taken for RGB and alpha
        "predictor": 3 if np.dtype(image.dtype).kind == "f" else 2,
    }


def _strips(area: Window) -> Iterator[Window]:
    for row in range(area.row, area.row_end, _ROWS):
        for col in range(area.col, area.col_end, _COLS):
            yield Window(row, col, min(_ROWS, area.row_end - row), min(_COLS, area.col_end - col))


def _padded(
    piece: Piece,
    window: Window,
    pixels: NDArray[Any],
    valid: NDArray[np.bool_],
    ids: NDArray[np.uint8],
) -> tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.uint8]]:
    """The strip, with what the file has beyond the raster where the strip is a last one: zeros without label."""
    area = piece.window
    missing = (
        (0, piece.height - area.height if window.row_end == area.row_end else 0),
        (0, piece.width - area.width if window.col_end == area.col_end else 0),
    )
    if not missing[0][1] and not missing[1][1]:
        return pixels, valid, ids
    return (
        np.pad(pixels, ((0, 0), *missing)),
        np.pad(valid, missing),
        np.pad(ids, missing, constant_values=NODATA),
    )


@contextmanager
def _new(path: Path, piece: Piece, image: Source, **profile: Any) -> Iterator[Any]:
    """A GeoTIFF open for writing, with its errors in one line."""
    if image.georeferenced:
        profile |= {
            "transform": image.transform * Affine.translation(piece.window.col, piece.window.row)
        }
    try:
        with warnings.catch_warnings(), rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
            warnings.simplefilter(
                "ignore", NotGeoreferencedWarning
            )  # a plain PNG is a supported case
            with rasterio.open(
                path,
                "w",
                driver="GTiff",
                height=piece.height,
                width=piece.width,
                crs=image.crs,
                tiled=True,
                blockxsize=_BLOCK,
                blockysize=_BLOCK,
                compress="deflate",
                zlevel=1,
                BIGTIFF="IF_SAFER",
                **profile,
            ) as file:
                yield file
    except GeosegError:
        raise  # of the image or the labels, read while this file is open
    except (RasterioError, OSError) as error:
        words = " ".join(str(error.__cause__ or error).split())
        raise OutputError(
            f"{path}: cannot be written ({words}); free the disk or choose another folder"
        ) from error
