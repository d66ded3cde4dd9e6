"""Parts to one Cloud-Optimized GeoTIFF each of classes, confidence and probabilities."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.crs import CRS

from geoseg.classes import NODATA, ClassScheme
from geoseg.errors import DiskError
from geoseg.raster.class_names import CLASSES_TAG
from geoseg.raster.fingerprint import TAG
from geoseg.raster.gdal import replace_raster
from geoseg.raster.integrity import is_whole_cog
from geoseg.raster.overviews import Halve, halve_by_mean, halve_by_mode, write_overviews
from geoseg.raster.part import BLOCK, Part
from geoseg.raster.part_vrt import PartVRT

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
    # Else GDAL looks through the names of all parts whenever it opens one.
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
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

    The names are also in ``<out>.aux.xml``, with an attribute table, for QGIS and ArcGIS.

    Args:
        parts: classes 0..n-1, 254 uncertain, 255 nodata; in any order. What no part covers is
            nodata.
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
    vrt = PartVRT(
        parts, height, width, transform, crs, ["class"], NODATA, classes=classes, tags=tags
    )
    _write(vrt, out, halve_by_mode, PREDICTOR="NO", OVERVIEW_RESAMPLING="MODE")


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
    vrt = PartVRT(parts, height, width, transform, crs, ["confidence"], 0, scale=1 / 255, tags=tags)
    _write(vrt, out, halve_by_mean, PREDICTOR="YES", OVERVIEW_RESAMPLING="AVERAGE")


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
    """Write probabilities: a uint8 band a class, round(255 p), scale 1/255, with an internal mask.

    `valid` holds the class parts, whose 255 mark the invalid pixels. The other arguments and errors
    are those of `class_cog`.
    """
    tags = {TAG: fingerprint, CLASSES_TAG: json.dumps(classes.names)}
    vrt = PartVRT(
        parts, height, width, transform, crs, classes.names, scale=1 / 255, tags=tags, valid=valid
    )
    _write(vrt, out, halve_by_mean, PREDICTOR="YES", OVERVIEW_RESAMPLING="AVERAGE")


def _write(vrt: PartVRT, out: Path, halve: Halve, **options: str) -> None:
    with replace_raster(out) as made, rasterio.Env(**_ENVIRONMENT):
        _refuse_full_disk(vrt, out)
        vrt_file = made.with_name("parts.vrt")
        vrt_file.write_text(vrt.to_xml(), encoding="utf-8")
        overviews = write_overviews(vrt_file, made.parent, halve, nodata=vrt.nodata)
        vrt_file.write_text(vrt.to_xml(overviews), encoding="utf-8")
        rasterio.shutil.copy(str(vrt_file), str(made), **{**_OPTIONS, **options})
        if not is_whole_cog(made, BLOCK):
            raise DiskError(
                f"{out}: could not be written whole; free the disk or choose another --out"
            )


def _refuse_full_disk(vrt: PartVRT, out: Path) -> None:
    """Refuse to start what cannot finish: on a full disk GDAL may say nothing, or crash.

    While it is made, a COG with its overviews takes at least a quarter more than its parts.
    """
    needed = sum(part.path.stat().st_size for part in vrt.parts) * 5 // 4
    free = shutil.disk_usage(out.parent).free
    if free < needed:
        raise DiskError(
            f"{out}: needs about {needed / 1e6:.1f} MB, {free / 1e6:.1f} MB are free; "
            "free the disk or choose another --out"
        )
