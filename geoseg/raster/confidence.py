"""Rasters of one band of uint8 that belong together: classes, and their confidence."""

from __future__ import annotations

from pathlib import Path

from geoseg.coordinate_systems import same_crs
from geoseg.errors import SourceError
from geoseg.raster.alignment import describe_grid
from geoseg.raster.file_source import open_raster
from geoseg.raster.source import Source


def open_bytes(path: Path, content: str) -> Source:
    """A raster of one band of uint8.

    Raises:
        SourceError: it is something else; `content` says what such a band would hold.
    """
    source = open_raster(path, as_stored=True)
    if len(source.bands) != 1 or source.dtype != "uint8":
        raise SourceError(
            f"{path}: has {len(source.bands)} band(s) of {source.dtype}; "
            f"give one band of uint8 that holds {content}"
        )
    return source


def open_confidence(path: Path, labels: Source) -> Source:
    """The confidence of exactly the same pixels.

    Raises:
        SourceError: it has others.
    """
    source = open_bytes(path, "255 times the confidence")
    alike = source.crs == labels.crs
    if source.crs is not None and labels.crs is not None:
        alike = same_crs(source.crs, labels.crs)
    same_size = (source.height, source.width) == (labels.height, labels.width)
    if not (same_size and alike and source.transform.almost_equals(labels.transform)):
        raise SourceError(
            f"{path}: {describe_grid(source)} do not lie on the grid of {labels.path} "
            f"({describe_grid(labels)}); give the confidence that was made with these classes"
        )
    return source
