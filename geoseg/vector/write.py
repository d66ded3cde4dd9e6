"""Polygons into files: streamed, several formats at once, each file complete or not there."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from affine import Affine
from rasterio.crs import CRS

from geoseg.classes import ClassScheme
from geoseg.errors import OutputError
from geoseg.files import replace_file
from geoseg.places import AnyPath
from geoseg.stores import FINGERPRINT
from geoseg.styles import leave_foreign
from geoseg.unwritable import naming_file
from geoseg.vector.features import FeatureTable, Layer, feature_tables, large_tables
from geoseg.vector.formats import format_of
from geoseg.vector.paths import path_to_write
from geoseg.vector.polygonize import Regions
from geoseg.vector.vector_file import VectorFile

WRITING_ERRORS = (OSError, RuntimeError, sqlite3.Error)
"""What pyogrio and pyarrow raise, and what adding styles does."""


def write_polygons(
    regions: Iterable[Regions],
    outputs: Mapping[Path, str] | Mapping[AnyPath, str],
    *,
    height: int,
    width: int,
    transform: Affine,
    crs: CRS | None,
    classes: ClassScheme,
) -> int:
    """Write the regions of one raster, which are consumed as they come, to one or several files.

    Existing files are replaced. The layer has the name of the file's stem.

    Args:
        regions: as `join_parts` yields them.
        outputs: fingerprint of each file by its path; the suffix decides the format.
        height: of the raster, in pixels.
        width: likewise.
        transform: pixel corner to CRS.
        crs: the raster's CRS; None leaves ``area_m2`` null.
        classes: names of the classes.

    Returns:
        The number of polygons.

    Raises:
        ConfigError: a suffix belongs to no format.
        VectorError: a class has no name, or a name that a format cannot hold.
        OutputError: a file cannot be written, or passes its format's limits.
    """
    name = next(iter(outputs)).stem
    layer = Layer(name, regions, height, width, transform, crs, classes)
    return write_layers([layer], outputs)[0]


def write_layers(
    layers: Iterable[Layer], outputs: Mapping[Path, str] | Mapping[AnyPath, str]
) -> list[int]:
    """Write several layers to one or several files; see `write_polygons`.

    Returns:
        The number of polygons of each layer.
    """
    return write_tables(((layer, feature_tables(layer)) for layer in layers), outputs)


def write_tables(
    layers: Iterable[tuple[Layer, Iterable[FeatureTable]]],
    outputs: Mapping[Path, str] | Mapping[AnyPath, str],
) -> list[int]:
    """Write layers whose features are made already; see `write_layers`."""
    counts = []
    with ExitStack() as stack:
        files = {
            path: stack.enter_context(_replacing(path, fingerprint))
            for path, fingerprint in outputs.items()
        }
        for layer, tables in layers:
            rows = 0
            for table in large_tables(tables):
                rows += len(table)
                for path, file in files.items():
                    with naming_file(path, WRITING_ERRORS):
                        file.write(layer, table)
            counts.append(rows)
    return counts


def refuse_folder(path: AnyPath) -> None:
    """Refuse a folder in the place of a polygon file, which nothing replaces.

    Raises:
        OutputError: it is one.
    """
    if path.is_dir():
        raise OutputError(f"{path} is a folder; give the name of a polygon file")


@contextmanager
def _replacing(path: AnyPath, fingerprint: str) -> Iterator[VectorFile]:
    """A file that is built beside its place, and moved there when the block succeeds."""
    kind = format_of(path)
    refuse_folder(path)
    # Errors of the regions that arrive in the meantime are not errors of this file.
    with replace_file(
        path, companions=kind.companions, errors=(), facts={FINGERPRINT: fingerprint}
    ) as built:
        with path_to_write(built) as plain, _abandoned_on_failure(kind(plain, fingerprint)) as file:
            yield file
            with naming_file(path, WRITING_ERRORS):
                file.finish()
        leave_foreign(built, path)


@contextmanager
def _abandoned_on_failure(file: VectorFile) -> Iterator[VectorFile]:
    """Stop writing a file when the block fails."""
    try:
        yield file
    except BaseException:
        file.abandon()
        raise
