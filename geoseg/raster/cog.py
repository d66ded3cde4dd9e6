"""Parts to one Cloud-Optimized GeoTIFF each of classes, confidence and probabilities."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.crs import CRS

from geoseg.classes import NODATA, ClassScheme
from geoseg.errors import OutputError, SourceError
from geoseg.raster.dataset import opened
from geoseg.raster.fingerprint import TAG
from geoseg.raster.mosaic import Mosaic
from geoseg.raster.part import Part
from geoseg.raster.pyramid import BLOCK, Halve, halve_by_mean, halve_by_mode, write_pyramid
from geoseg.raster.write import replace_raster

CLASSES_TAG = "GEOSEG_CLASSES"
"""The metadata item with the class names, a JSON list: they survive where the ``.aux.xml`` gets lost."""

_OPTIONS: dict[str, str | int] = {
    "driver": "COG",
    "COMPRESS": "DEFLATE",
    "LEVEL": 6,
    "BLOCKSIZE": BLOCK,
    "BIGTIFF": "IF_SAFER",
    "NUM_THREADS": "ALL_CPUS",
    "STATISTICS": "NO",
}
_ENVIRONMENT: dict[str, str | bool] = {
    "GDAL_TIFF_INTERNAL_MASK": True,
    "GDAL_PAM_ENABLED": True,  # the .aux.xml
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # else each part's opening looks through the names of all parts
}


def class_cog(
    parts: Sequence[Part],
    out: Path,
    *,
    height: int,
    width: int,
    transform: Affine,
    crs: CRS | None,
    classes: ClassScheme,
    fingerprint: str,
) -> None:
    """Write a class raster: uint8 with palette and class names, 255 nodata, overviews by mode.

    The names also stand in ``<out>.aux.xml``, with an attribute table, for QGIS and ArcGIS.

    Args:
        parts: classes 0..n-1, 254 uncertain, 255 nodata; in any order. What no part covers is nodata.
        out: the file; an older one is replaced.
        height: of the raster, in pixels.
        width: likewise.
        transform: pixel corner to CRS; the identity for none.
        crs: or None.
        classes: names and colours.
        fingerprint: what the raster was made from, kept in the file.

    Raises:
        OutputError: the disk is full or the folder cannot be written.
    """
    tags = {TAG: fingerprint, CLASSES_TAG: json.dumps(classes.names)}
    mosaic = Mosaic(
        parts, height, width, transform, crs, ["class"], NODATA, classes=classes, tags=tags
    )
    _write(mosaic, out, halve_by_mode, PREDICTOR="NO", OVERVIEW_RESAMPLING="MODE")


def confidence_cog(
    parts: Sequence[Part],
    out: Path,
    *,
    height: int,
    width: int,
    transform: Affine,
    crs: CRS | None,
    fingerprint: str,
) -> None:
    """Write a confidence raster: uint8 round(255 p), scale 1/255, 0 nodata, overviews by mean.

    Arguments and errors are those of `class_cog`.
    """
    tags = {TAG: fingerprint}
    mosaic = Mosaic(
        parts, height, width, transform, crs, ["confidence"], 0, scale=1 / 255, tags=tags
    )
    _write(mosaic, out, halve_by_mean, PREDICTOR="YES", OVERVIEW_RESAMPLING="AVERAGE")


def probabilities_cog(
    parts: Sequence[Part],
    valid: Sequence[Part],
    out: Path,
    *,
    height: int,
    width: int,
    transform: Affine,
    crs: CRS | None,
    classes: ClassScheme,
    fingerprint: str,
) -> None:
    """Write probabilities: one uint8 band a class, round(255 p), scale 1/255, invalid pixels in an internal mask.

    `valid` holds the class parts, whose 255 mark the invalid pixels. The other arguments and errors are those of
    `class_cog`.
    """
    tags = {TAG: fingerprint, CLASSES_TAG: json.dumps(classes.names)}
    mosaic = Mosaic(
        parts, height, width, transform, crs, classes.names, scale=1 / 255, tags=tags, valid=valid
    )
    _write(mosaic, out, halve_by_mean, PREDICTOR="YES", OVERVIEW_RESAMPLING="AVERAGE")


def read_class_names(path: Path) -> tuple[str, ...] | None:
    """The class names in a class raster of geoseg's; None in any other raster.

    Raises:
        SourceError: not a raster that can be read.
    """
    with opened(path) as file:
        names = file.tags().get(CLASSES_TAG)
    return None if names is None else tuple(json.loads(names))


def _write(mosaic: Mosaic, out: Path, halve: Halve, **options: str) -> None:
    with replace_raster(out) as made, rasterio.Env(**_ENVIRONMENT):
        _refuse_full_disk(mosaic, out)
        vrt = made.with_name("parts.vrt")
        vrt.write_text(mosaic.document(), encoding="utf-8")
        overviews = write_pyramid(vrt, made.parent, halve, nodata=mosaic.nodata)
        vrt.write_text(mosaic.document(overviews), encoding="utf-8")
        rasterio.shutil.copy(str(vrt), str(made), **{**_OPTIONS, **options})
        if not _is_whole(made):
            raise OutputError(
                f"{out}: could not be written whole; free the disk or choose another --out"
            )


def _refuse_full_disk(mosaic: Mosaic, out: Path) -> None:
    """Refuse to begin what cannot end: GDAL bears a full disk badly, from silence to a crash.

    While it is made, a COG with its overviews takes at least a quarter more than its parts.
    """
    needed = sum(part.path.stat().st_size for part in mosaic.parts) * 5 // 4
    free = shutil.disk_usage(out.parent).free
    if free < needed:
        raise OutputError(
            f"{out}: needs about {needed / 1e6:.1f} MB, {free / 1e6:.1f} MB are free; "
            "free the disk or choose another --out"
        )


def _is_whole(path: Path) -> bool:
    """Whether every tile of every level lies within the file: GDAL may lose the last bytes without a word."""
    size = path.stat().st_size
    sidecar = path.with_name(f"{path.name}.aux.xml")
    if sidecar.exists() and not sidecar.read_text(encoding="utf-8").rstrip().endswith(">"):
        return False
    try:
        with opened(path) as file:
            return all(0 < end <= size for end in _tile_ends(file))
    except SourceError:
        return False


def _tile_ends(file: Any) -> Iterator[int]:
    """Where each tile of each level ends in the file; 0 for a tile that is missing."""
    height, width = file.shape
    for level in range(-1, len(file.overviews(1))):
        place = {"dm": "TIFF", "bidx": 1} | ({} if level < 0 else {"ovr": level})
        for row, col in itertools.product(range(-(-height // BLOCK)), range(-(-width // BLOCK))):
            offset = file.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", **place)
            length = file.get_tag_item(f"BLOCK_SIZE_{col}_{row}", **place)
            yield int(offset) + int(length) if offset and length else 0
        height, width = -(-height // 2), -(-width // 2)
