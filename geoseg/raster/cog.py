"""Parts to one Cloud-Optimized GeoTIFF.

    parts -> one plain file (`assemble`) -> its overviews -> all of it copied into the COG

Reading the parts in place would take time that grows with the square of their number.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from geoseg.errors import DiskError
from geoseg.places import AnyPath, building_option, file_sizes
from geoseg.raster.assembly import assemble
from geoseg.raster.bring_back import Onto
from geoseg.raster.counts import counts_as_facts
from geoseg.raster.fingerprint import TAG
from geoseg.raster.gdal import replace_raster
from geoseg.raster.integrity import is_whole_cog
from geoseg.raster.layers import Layer
from geoseg.raster.overviews import count_overviews, write_overviews
from geoseg.raster.part import BLOCK, Part
from geoseg.raster.raster_vrt import RasterVRT
from geoseg.raster.style import raster_style
from geoseg.stores import FINGERPRINT
from geoseg.styles import write_style
from geoseg.tiling import Window

_OPTIONS: dict[str, str | int] = {
    "driver": "COG",
    "COMPRESS": "DEFLATE",
    "LEVEL": 6,
    "BLOCKSIZE": BLOCK,
    "BIGTIFF": "IF_SAFER",
    "NUM_THREADS": "ALL_CPUS",
    "STATISTICS": "NO",
}
ENVIRONMENT: dict[str, str | bool] = {
    "GDAL_TIFF_INTERNAL_MASK": True,
    "GDAL_PAM_ENABLED": True,  # the .aux.xml
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
}
"""What GDAL is told while it writes such files."""


def write_cog(
    layer: Layer,
    parts: Sequence[Part],
    out: AnyPath,
    *,
    height: int,
    width: int,
    transform: Affine,
    crs: CRS | None,
    fingerprint: str,
    valid: Sequence[Part] = (),
    area: Window | None = None,
    onto: Onto | None = None,
    overviews: int | None = None,
) -> NDArray[np.int64]:
    """Write an output raster, or a rectangle of it.

    The names of classes are also in ``<out>.aux.xml``, with an attribute table, for QGIS and
    ArcGIS; QGIS takes its style from the ``.qml``.

    Args:
        layer: what its pixels mean.
        parts: in any order. What no part covers is nodata.
        out: the file; an older one is replaced.
        height: of the raster, in pixels.
        width: likewise.
        transform: pixel corner to CRS; the identity for none.
        crs: or None.
        fingerprint: what the raster was made from, kept in the file.
        valid: where the layer has no nodata, the class parts, whose 255 are the invalid pixels.
        area: what of the raster the file shows; None: all.
        onto: how pixels of the parts become those of the raster; None: they are.
        overviews: how many; None: until one fits into a tile.

    Returns:
        The pixels of each value 0..255 of the first band.

    Raises:
        PartError: a part is missing or damaged, or its file is another part.
        OutputError: the disk is full or the folder cannot be written.
    """
    shown = area or Window(0, 0, height, width)
    facts = {FINGERPRINT: fingerprint}
    with replace_raster(out, facts) as made, rasterio.Env(**ENVIRONMENT):
        _refuse_full_disk([*parts, *valid], made, out)
        base = made.with_name("base.tif")
        assembled = base if onto is None else made.with_name("assembled.tif")
        stored = shown if onto is None else onto.needed(shown)
        counts = assemble(
            parts, assembled, stored, bands=len(layer.bands), fill=layer.nodata or 0, valid=valid
        )
        if onto is not None:
            counts = onto.bring_back(assembled, base, shown, bilinear=bool(valid))
            assembled.unlink()
        if layer.classes is not None:
            facts |= counts_as_facts(counts)
        write_layer(
            layer,
            base,
            made,
            height=shown.height,
            width=shown.width,
            transform=place_of(transform, shown),
            crs=crs,
            tags={TAG: fingerprint},
            overviews=overviews,
        )
        refuse_cut_short_cog(made, out)
        if overviews is None:  # a square is shown by its index
            write_style(made, ".qml", raster_style(layer))
    return counts


def place_of(transform: Affine, area: Window) -> Affine:
    """Where a rectangle of a raster lies; without georeferencing it has none either."""
    return (
        transform if transform.is_identity else transform @ Affine.translation(area.col, area.row)
    )


def refuse_cut_short_cog(made: Path, out: AnyPath) -> None:
    """Refuse a file that the disk did not take whole, which GDAL may not notice.

    Args:
        made: the file.
        out: where it goes, for the message.

    Raises:
        DiskError: it is not whole.
    """
    if not is_whole_cog(made, BLOCK):
        raise DiskError(
            f"{out}: could not be written whole; "
            f"free the disk or choose another {building_option(out)}"
        )


def write_layer(
    layer: Layer,
    base: Path,
    out: Path,
    *,
    height: int,
    width: int,
    transform: Affine,
    crs: CRS | None,
    tags: Mapping[str, str],
    overviews: int | None = None,
) -> None:
    """Make a Cloud-Optimized GeoTIFF of plain pixels, in a folder that is removed afterwards.

    Args:
        layer: what they mean.
        base: their file, in the same folder as `out`.
        out: the new file.
        height: of the raster, in pixels.
        width: likewise.
        transform: pixel corner to CRS; the identity for none.
        crs: or None.
        tags: beside those of the layer.
        overviews: how many; None: until one fits into a tile.
    """
    count = count_overviews(height, width) if overviews is None else overviews
    levels = write_overviews(base, out.parent, layer.halve, count, nodata=layer.nodata)
    files = [Part(Path(base.name), 0, 0, height, width)]
    vrt = RasterVRT(layer, files, height, width, transform, crs, tags)
    described = out.with_name("described.vrt")
    described.write_text(vrt.to_xml([Path(level.name) for level in levels]), encoding="utf-8")
    is_of_classes = layer.classes is not None
    rasterio.shutil.copy(
        str(described),
        str(out),
        PREDICTOR="NO" if is_of_classes else "YES",
        OVERVIEW_RESAMPLING="MODE" if is_of_classes else "AVERAGE",
        **_OPTIONS,
    )


def _refuse_full_disk(parts: Sequence[Part], made: Path, out: AnyPath) -> None:
    """Refuse to start what cannot finish: on a full disk GDAL may say nothing, or crash.

    While it is made, there are all pixels compressed as in the parts, their overviews, and the COG,
    which is never less than half as large.
    """
    written = file_sizes([part.path for part in parts if part.held is None])
    held = sum(part.held.nbytes for part in parts if part.held is not None)
    needed = (held + sum(size or 0 for size in written)) * 7 // 4
    free = shutil.disk_usage(made.parent).free
    if free < needed:
        raise DiskError(
            f"{out}: needs about {needed / 1e6:.1f} MB, {free / 1e6:.1f} MB are free; "
            f"free the disk or choose another {building_option(out)}"
        )
