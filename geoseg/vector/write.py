"""Polygons into files: streamed, several formats at once, each file whole or not there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from affine import Affine
from rasterio.crs import CRS

from geoseg.classes import ClassScheme
from geoseg.errors import GeosegError, OutputError
from geoseg.files import temporary_folder
from geoseg.vector.files import VectorFile, format_of
from geoseg.vector.regions import Regions
from geoseg.vector.tables import Layer, tabulate


def write_polygons(
    regions: Iterable[Regions],
    outputs: Mapping[Path, str],
    *,
    transform: Affine,
    crs: CRS | None,
    classes: ClassScheme,
) -> int:
    """Write the regions of one raster, which are consumed as they come, to one or several files.

    Files that stand in the way are replaced. The layer bears the file's stem.

    Args:
        regions: as `join_pieces` gives them.
        outputs: fingerprint of each file by its path; the suffix says the format.
        transform: pixel corner to CRS.
        crs: the raster's CRS; None leaves ``area_m2`` null.
        classes: names of the classes.

    Returns:
        The number of polygons.

    Raises:
        ConfigError: a suffix is no format's.
        VectorError: a class has no name, or a name that a format cannot hold.
        OutputError: a file cannot be written, or passes its format's limits.
    """
    name = next(iter(outputs)).stem
    return write_layers([Layer(name, regions, transform, crs, classes)], outputs)[0]


def write_layers(layers: Iterable[Layer], outputs: Mapping[Path, str]) -> list[int]:
    """Write several layers to one or several files; see `write_polygons`.

    Returns:
        The number of polygons of each layer.
    """
    counts = []
    with ExitStack() as stack:
        files = [
            stack.enter_context(_building(path, fingerprint))
            for path, fingerprint in outputs.items()
        ]
        for layer in layers:
            rows = 0
            for table in tabulate(layer):
                rows += len(table)
                for path, file in zip(outputs, files, strict=True):
                    with _blaming(path):
                        file.write(layer, table)
            counts.append(rows)
    return counts


@contextmanager
def _building(path: Path, fingerprint: str) -> Iterator[VectorFile]:
    """A file that is built in a folder beside its place, and moved there when the block ends well."""
    kind = format_of(path)
    if path.is_dir():
        raise OutputError(f"{path} is a folder; give the name of a polygon file")
    with ExitStack() as stack:
        with _blaming(path):
            folder = stack.enter_context(temporary_folder(path))
        file = kind(folder / path.name, fingerprint)
        yield file
        with _blaming(path):
            file.finish()
            _move(kind, file.path, path)


def _move(kind: type[VectorFile], built: Path, path: Path) -> None:
    """Put a finished file in its place: what belongs to it first, itself last, so that it is whole when it appears."""
    for new, old in zip(kind.companions(built), kind.companions(path), strict=True):
        if new.exists():
            os.replace(new, old)
        else:
            old.unlink(missing_ok=True)
    os.replace(built, path)


@contextmanager
def _blaming(path: Path) -> Iterator[None]:
    """Say in one line which file failed, and what can be done."""
    try:
        yield
    except GeosegError:
        raise
    except (OSError, RuntimeError) as error:  # pyogrio's errors are RuntimeErrors
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise OutputError(
            f"{path} cannot be written ({reason}); choose another name or place, or free the disk"
        ) from error
