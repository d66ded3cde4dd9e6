"""A picture of a prediction: classes with their legend, and the imagery beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import NODATA, UNCERTAIN, ClassScheme
from geoseg.errors import SourceError
from geoseg.places import AnyPath
from geoseg.raster.bands import order_by_name
from geoseg.raster.file_source import open_raster
from geoseg.raster.fingerprint import TAG
from geoseg.raster.gdal import opened_once, replace_raster
from geoseg.raster.picture import Entry, draw_picture, write_png
from geoseg.raster.reader import Reader
from geoseg.raster.source import Source
from geoseg.stores import FINGERPRINT
from geoseg.tiling import Window

_SIDE = 1600
"""Pixels of the picture's longer side, legend and margins apart; two panels share it."""
PANEL_SIDE = _SIDE // 2
"""Of a panel beside another one."""
_CHUNK_ROWS = 512
_NO_DATA = 217
"""The grey of invalid pixels: white is a class in the ISPRS colours."""


def write_preview(
    raster: Path,
    out: AnyPath,
    *,
    classes: ClassScheme,
    fingerprint: str,
    source: Source | None = None,
    area: Window | None = None,
) -> None:
    """Draw a class raster, and the imagery it was made from beside it.

    Args:
        raster: the class raster; its overviews are read where it has some.
        out: the PNG file; an older one is replaced.
        classes: names and colours.
        fingerprint: what the picture was made from; stored in it.
        source: the imagery: red, green and blue where the bands have these names, else the first
            three, or the first as grey. uint8 is shown as it is, other types are stretched.
        area: what of the imagery the class raster shows; None: all.

    Raises:
        OutputError: the picture cannot be written.
        SourceError: raster or imagery cannot be read.
    """
    side = _SIDE if source is None else PANEL_SIDE
    with opened_once(raster):
        (labels,), _ = _decimated(open_raster(raster, nodata=NODATA), side)
    panels = [("classes", _colored(labels, classes))]
    if source is not None:
        panels.insert(0, (source.path.name, imagery_picture(source, area)[0]))
    picture = draw_picture(panels, legend_of(labels, classes))
    with replace_raster(out, {FINGERPRINT: fingerprint}) as made:
        write_png(picture, made, {TAG: fingerprint})


def legend_of(labels: NDArray[np.uint8], classes: ClassScheme) -> list[Entry]:
    """Names and colours of the codes that occur."""
    named = {**dict(enumerate(classes.names)), UNCERTAIN: "uncertain", NODATA: "no data"}
    shown = np.unique(labels)
    colors = _colored(shown[None], classes)[0].tolist()
    return [
        (named.get(value, f"unknown class {value}"), tuple(color))
        for value, color in zip(shown.tolist(), colors, strict=True)
    ]


def _colored(labels: NDArray[np.uint8], classes: ClassScheme) -> NDArray[np.uint8]:
    """``(height, width, 3)`` uint8."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(classes)] = classes.colors
    table[UNCERTAIN] = 128
    table[NODATA] = _NO_DATA
    return np.take(table, labels, axis=0)


def imagery_picture(
    source: Source, area: Window | None = None, side: int = PANEL_SIDE
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Imagery as previews show it.

    Args:
        source: the imagery.
        area: what of it; None: all.
        side: of the picture at most, in pixels.

    Returns:
        ``(height, width, 3)`` uint8, invalid pixels grey, and ``(height, width)`` what is valid.

    Raises:
        SourceError: it cannot be read.
    """
    pixels, valid = _decimated(source, side, area)
    bands_last = np.moveaxis(pixels[shown_bands(source)], 0, -1)
    picture = bands_last.copy() if bands_last.dtype == np.uint8 else _stretched(bands_last, valid)
    picture[~valid] = _NO_DATA
    return picture, valid


def shown_bands(source: Source) -> list[int]:
    """What of a source's bands is shown as red, green and blue, counted from 0.

    Bands of these names, else the first three, else the first as grey.
    """
    bands = [source.file_bands[band - 1] for band in source.bands]
    natural = order_by_name(("red", "green", "blue"), bands)
    if natural is not None:
        return [band - 1 for band in natural]
    return [0, 1, 2] if len(bands) >= 3 else [0, 0, 0]


def shown_range(source: Source) -> tuple[float, float]:
    """The values that are shown as black and as full colour.

    Raises:
        SourceError: the imagery cannot be read.
    """
    if source.dtype == "uint8":
        return 0.0, 255.0
    pixels, valid = _decimated(source, PANEL_SIDE)
    return _spread(np.moveaxis(pixels[shown_bands(source)], 0, -1)[valid])


def _spread(values: NDArray[Any]) -> tuple[float, float]:
    """The 2nd and the 98th percentile."""
    low, high = np.percentile(values, (2, 98)) if values.size else (0.0, 1.0)
    return float(low), float(high)


def _stretched(picture: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The 2nd to 98th percentile of the valid values of all bands, spread over 0..255."""
    if not valid.any():
        return np.zeros(picture.shape, np.uint8)
    low, high = _spread(picture[valid])
    values = np.where(valid[..., None], picture, low).astype(np.float64)
    shares: NDArray[np.float64] = np.clip((values - low) / max(high - low, 1e-9), 0, 1)
    return (shares * 255).astype(np.uint8)


def _decimated(
    source: Source, side: int, area: Window | None = None
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Every n-th pixel, read strip by strip, from the smallest overview that has enough of them.

    Of an area of the raster, from full resolution.

    Returns:
        ``(pixels, valid)``: ``(bands, h, w)`` in the source's type, ``(h, w)`` bool; h, w at most
        `side`, whatever overviews there are: panels of rasters of one size have one.
    """
    whole = area or Window(0, 0, source.height, source.width)
    step = -(-max(whole.height, whole.width) // side)
    size = (-(-whole.height // step), -(-whole.width // step))
    pixels = np.empty((len(source.bands), *size), source.dtype)
    valid = np.empty(size, np.bool_)
    with _smallest(source, side) if area is None else source.open() as reader:
        shown = area or Window(0, 0, reader.height, reader.width)
        rows = np.arange(size[0]) * step * shown.height // whole.height
        cols = np.arange(size[1]) * step * shown.width // whole.width
        count = max(1, _CHUNK_ROWS * size[0] // shown.height)
        for first in range(0, size[0], count):
            some = rows[first : first + count]
            strip, strip_valid = reader.read(
                shown.row + int(some[0]), shown.col, int(some[-1] - some[0]) + 1, shown.width
            )
            # One axis after the other: both at once take six times as long.
            pixels[:, first : first + count] = strip[:, some - some[0]][:, :, cols]
            valid[first : first + count] = strip_valid[some - some[0]][:, cols]
    return pixels, valid


def _smallest(source: Source, side: int) -> Reader:
    """A reader of the smallest level that is not smaller than the picture."""
    reader = source.open()
    for level in reversed(range(reader.overviews)):
        try:
            smaller = source.open(overview=level)
        except SourceError:  # external overviews may lack what the file itself has
            continue
        if max(smaller.height, smaller.width) >= side:
            reader.close()
            return smaller
        smaller.close()
    return reader
