"""What a file says about its values and its place, besides the pixels: used, or put into words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rasterio.crs import CRS

from geoseg import geodesy
from geoseg.coordinate_systems import crs_name, same_crs
from geoseg.errors import SourceError

_STRUCTURE = "IMAGE_STRUCTURE"
"""The domain in which GDAL says how values are stored."""


def refuse_broken_metadata(
    path: Path, file: Any, used: Sequence[int], given_crs: CRS | None = None
) -> None:
    """Refuse a place that is none, and bytes with a sign that GDAL no longer reads.

    Args:
        path: of the file.
        file: the open rasterio dataset.
        used: the 1-based bands that are read.
        given_crs: what replaces the file's coordinate system, where its pixels have a place.

    Raises:
        SourceError: its transform places no pixel, PROJ cannot compute with its coordinate system,
            or its bytes are marked as signed.
    """
    if not geodesy.places_pixels(file.transform, file.height, file.width):
        raise SourceError(
            f"{path}: its transform {tuple(file.transform)[:6]} places no pixel; set the right "
            "one, as by rio edit-info --transform"
        )
    is_used = file.crs and (given_crs is None or file.transform.is_identity)
    if is_used and (fault := geodesy.crs_fault(file.crs)):
        raise SourceError(
            f"{path}: its coordinate system cannot be used ({fault}); set the right one, as by "
            "rio edit-info --crs EPSG:32632, or give it with --crs"
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
            f"has a coordinate system ({crs_name(file.crs)}) and neither transform nor "
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
    if given is None or not found:
        return ""
    replaced = f"is replaced by --crs {crs_name(given)}"
    if fault := geodesy.crs_fault(found):
        return f"its coordinate system, which cannot be used ({fault}), {replaced}"
    same = same_crs(found, given)
    return "" if same else f"its coordinate system {crs_name(found)} {replaced}"
