"""What a file says about its values and its place, besides the pixels: used, or put into words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rasterio.crs import CRS

from geoseg import geodesy
from geoseg.errors import SourceError

_STRUCTURE = "IMAGE_STRUCTURE"
"""The domain in which GDAL says how values are stored."""


def refuse_broken_metadata(path: Path, file: Any, used: Sequence[int]) -> None:
    """Refuse a transform that places no pixel, and bytes with a sign that GDAL no longer reads.

    Raises:
        SourceError: the file has one of them.
    """
    numbers = tuple(file.transform)[:6]
    if not all(map(math.isfinite, numbers)) or file.transform.is_degenerate:
        raise SourceError(
            f"{path}: its transform {numbers} places no pixel; set the right one, as by "
            "rio edit-info --transform"
        )
    if any(
        file.dtypes[band - 1] == "uint8"
        and file.tags(band, ns=_STRUCTURE).get("PIXELTYPE") == "SIGNEDBYTE"
        for band in used
    ):
        raise SourceError(
            f"{path}: its bytes are marked as signed in an old way (PIXELTYPE=SIGNEDBYTE), which "
            "would be read as 0 to 255; export it again as Int8 or Int16"
        )


def value_notes(file: Any, used: Sequence[int]) -> list[str]:
    """What a user should know about values and place that the file describes beyond its pixels.

    Args:
        file: the open rasterio dataset.
        used: the 1-based bands that are read.
    """
    lines = []
    scales = {(file.scales[band - 1], file.offsets[band - 1]) for band in used} - {(1.0, 0.0)}
    if scales:
        declared = " or ".join(f"scale {scale!r}, offset {shift!r}" for scale, shift in scales)
        lines.append(f"declares {declared}, not applied: values are taken as stored")
    if file.subdatasets:
        lines.append(
            f"holds {len(file.subdatasets)} pages, only the first is read "
            f"({file.height} x {file.width} pixels); save the others as files of their own"
        )
    lines += _unused_place(file)
    return lines


def _unused_place(file: Any) -> list[str]:
    """What places the pixels and is not used."""
    if not file.transform.is_identity:
        said = "they are not used, pixels lie where the transform says"
        return [f"has RPCs beside its transform; {said}"] if file.rpcs else []
    lost = "outputs carry no place, and areas stay empty"
    if file.gcps[0]:
        return [
            "is placed by ground control points only, which are not used: "
            f"{lost}; warp it first (gdalwarp FILE WARPED.tif)"
        ]
    if file.rpcs:
        return [
            "is placed by RPCs only, which are not used: "
            f"{lost}; orthorectify it first (gdalwarp -rpc FILE ORTHO.tif)"
        ]
    if file.crs:
        return [
            f"has a coordinate system ({geodesy.crs_name(file.crs)}) and neither transform nor "
            f"world file, which would give it a place: {lost}"
        ]
    return []


def place_note(file: Any, given: CRS | None) -> str:
    """What else the user should know about the place of the pixels; empty where all is well."""
    found = file.crs
    if file.transform.is_identity:
        if given is not None:
            return "has no transform and no world file; --crs cannot place it"
        if _unused_place(file):
            return ""
        return "has no georeferencing: outputs carry none either, and areas stay empty"
    if given is None and not found:
        return (
            "has no coordinate system: ground sampling is not checked, and areas stay empty; "
            "give one with --crs"
        )
    if given is not None and found and not geodesy.same_crs(found, given):
        return (
            f"its coordinate system {geodesy.crs_name(found)} is replaced "
            f"by --crs {geodesy.crs_name(given)}"
        )
    return ""
