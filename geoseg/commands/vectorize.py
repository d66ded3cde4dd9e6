"""Polygons of class rasters that stand on disk.

The story: check every raster; read each part by part; polygonize, join across parts, stream to one file.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import rasterio

from geoseg.classes import MAX_CLASSES, NODATA, ClassScheme
from geoseg.errors import ConfigError, OutputError, SourceError
from geoseg.raster import Source, open_raster, read_class_names, source_fingerprint
from geoseg.report import Report
from geoseg.vector import (
    Layer,
    PartPieces,
    format_of,
    join_pieces,
    part_pieces,
    read_vector_fingerprint,
    write_layers,
)

PathLike = str | os.PathLike[str]

_PART_ROWS, _PART_COLS = 1024, 8192
"""What is read and polygonized at a time: whole tiles of a COG, some 200 MB at work."""

_CACHE = 128 * 2**20
"""Of decoded blocks; GDAL would take 5 % of the machine's memory."""


def run(
    rasters: PathLike | Sequence[PathLike],
    out: PathLike,
    *,
    confidence: PathLike | None = None,
    overwrite: bool = False,
) -> Report:
    """Polygonize class rasters of any size into one file.

    Args:
        rasters: uint8 rasters of one band, class ids 0..253; nodata, 254 and 255 make no polygon. Class names come
            from the raster's category names (``.aux.xml``). Several rasters become layers, named by their stems.
        out: ``.gpkg`` or ``.shp``.
        confidence: uint8 raster of the same grid, 255 times the probability of the label.
        overwrite: replace a file that was made from something else.

    Returns:
        What was written. `exit_code` is 1 where some rasters were refused.

    Raises:
        ConfigError: an option is wrong, or no raster can be used; nothing was begun.
        SourceError: a raster turns out to be damaged; nothing was written.
        OutputError: `out` cannot be written, or another file stands there.
    """
    started = time.perf_counter()
    paths = [
        Path(path) for path in ([rasters] if isinstance(rasters, str | os.PathLike) else rasters)
    ]
    target = Path(out)
    _check_options(paths, target, confidence)
    jobs, failures = _checked(paths, None if confidence is None else Path(confidence))
    key = _key(jobs)
    warnings = [line for job in jobs for line in job.source.warnings]
    facts: dict[str, Any] = {"output": str(target), "failures": failures, "warnings": warnings}
    if target.is_file() and not overwrite:
        if read_vector_fingerprint(target) != key:
            raise OutputError(
                f"{target} stands there and was made from something else; use --overwrite or another --out"
            )
        return Report(
            f"{target} stands already, made from the same",
            {**facts, "kept": True},
            int(bool(failures)),
        )

    names = [target.stem] if len(jobs) == 1 else [job.source.path.stem for job in jobs]
    layers = [job.layer(name) for job, name in zip(jobs, names, strict=True)]
    with rasterio.Env(GDAL_CACHEMAX=_CACHE):
        counts = write_layers(layers, {target: key})
    warnings += [line for job in jobs for line in job.warnings()]
    made = [
        {"raster": str(job.source.path), "layer": name, "polygons": count}
        for job, name, count in zip(jobs, names, counts, strict=True)
    ]
    seconds = time.perf_counter() - started
    text = f"{sum(counts):,} polygons of {len(jobs)} raster{'s' * (len(jobs) > 1)} in {target} ({seconds:.1f} s)"
    return Report(
        text, {**facts, "kept": False, "layers": made, "seconds": seconds}, int(bool(failures))
    )


@dataclass(slots=True)
class _Job:
    """One raster that can be vectorized."""

    source: Source
    confidence: Source | None
    undeclared: int = 0
    """Valid pixels of 255 in a raster that does not declare 255 as nodata."""

    def layer(self, name: str) -> Layer:
        source = self.source
        regions = join_pieces(self._parts(), source.height, source.width)
        return Layer(
            name,
            regions,
            source.transform,
            source.crs,
            ClassScheme.from_names(_class_names(source.path)),
        )

    def warnings(self) -> list[str]:
        """What reading the pixels has shown."""
        if not self.undeclared:
            return []
        return [
            f"{self.source.path}: {self.undeclared:,} pixels of 255, which is not declared as nodata, make no polygon; "
            "use class ids below 254"
        ]

    def _parts(self) -> Iterator[PartPieces]:
        source = self.source
        with (
            source.open() as labels_reader,
            (self.confidence or source).open() as confidence_reader,
        ):
            for row in range(0, source.height, _PART_ROWS):
                for col in range(0, source.width, _PART_COLS):
                    place = (
                        row,
                        col,
                        min(_PART_ROWS, source.height - row),
                        min(_PART_COLS, source.width - col),
                    )
                    (labels,), valid = labels_reader.read(*place)
                    self.undeclared += int(np.count_nonzero((labels == NODATA) & valid))
                    labels[~valid] = NODATA
                    confidence = (
                        None if self.confidence is None else confidence_reader.read(*place)[0][0]
                    )
                    yield part_pieces(labels, confidence, row, col)


def _check_options(paths: Sequence[Path], target: Path, confidence: PathLike | None) -> None:
    if not paths:
        raise ConfigError("no raster given; name at least one class raster")
    kind = format_of(target)
    if len(paths) == 1:
        return
    if not kind.several_layers:
        raise ConfigError(
            f"{target} holds one layer, {len(paths)} rasters are given; vectorize one at a time, or write a .gpkg"
        )
    if confidence is not None:
        raise ConfigError(
            f"--confidence goes with one raster, {len(paths)} are given; vectorize one at a time"
        )
    by_stem: dict[str, Path] = {}
    for path in paths:
        other = by_stem.setdefault(path.stem, path)
        if other is not path:
            raise ConfigError(
                f"{other} and {path} would both become layer {path.stem!r}; vectorize them apart"
            )


def _checked(paths: Iterable[Path], confidence: Path | None) -> tuple[list[_Job], list[str]]:
    """The rasters that can be used, and why the others cannot.

    Raises:
        ConfigError: none can be used.
    """
    jobs: list[_Job] = []
    failures: list[str] = []
    for path in paths:
        try:
            source = _byte_raster(path, "class ids 0..253 (255 is nodata)")
            jobs.append(
                _Job(source, None if confidence is None else _on_grid_of(source, confidence))
            )
        except SourceError as error:
            failures.append(str(error))
    if not jobs:
        raise ConfigError("\n".join(failures))
    return jobs, failures


def _byte_raster(path: Path, content: str) -> Source:
    source = open_raster(path)
    if len(source.bands) != 1 or source.dtype != "uint8":
        raise SourceError(
            f"{path}: has {len(source.bands)} band(s) of {source.dtype}; give one band of uint8 that holds {content}"
        )
    return source


def _on_grid_of(source: Source, path: Path) -> Source:
    confidence = _byte_raster(path, "255 times the confidence")
    same_size = (confidence.height, confidence.width) == (source.height, source.width)
    if (
        not same_size
        or not confidence.transform.almost_equals(source.transform)
        or confidence.crs != source.crs
    ):
        raise SourceError(
            f"{path}: {confidence.height} x {confidence.width} pixels do not lie on the grid of {source.path} "
            f"({source.height} x {source.width}); give the confidence that was made with these classes"
        )
    return confidence


def _class_names(path: Path) -> list[str]:
    """A name for every class id: geoseg's own, or GDAL's category names, or ``class N`` where there are none."""
    own = read_class_names(path)
    return _one_each(_category_names(path) if own is None else own)


def _category_names(path: Path) -> list[str]:
    """The names that GDAL keeps beside a raster, or in a VRT."""
    described = path if path.suffix.lower() == ".vrt" else path.with_name(f"{path.name}.aux.xml")
    if not described.is_file():
        return []
    try:
        # GDAL has read the same file before: whatever could be wrong with it has shown by now.
        found = ET.parse(described).find(".//CategoryNames")  # noqa: S314
    except ET.ParseError as error:
        raise SourceError(
            f"{described}: is no readable XML ({error}); remove it to go on without names"
        ) from error
    return [] if found is None else [entry.text or "" for entry in found]


def _one_each(known: Sequence[str]) -> list[str]:
    """A name of its own for every class id that a raster can hold."""
    names: list[str] = []
    for class_id in range(MAX_CLASSES):
        name = known[class_id].strip() if class_id < len(known) else ""
        names.append(name if name and name not in names else f"{name or 'class'} {class_id}")
    return names


def _key(jobs: Iterable[_Job]) -> str:
    """What the output is made from, for its fingerprint."""
    digest = hashlib.sha256(b"vectorize 1")
    for job in jobs:
        for source in (job.source, job.confidence):
            digest.update((source_fingerprint(source.path) if source else "-").encode())
    return digest.hexdigest()
