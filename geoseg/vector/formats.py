"""The vector file formats: how each is written, and which files belong to it on disk."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from geoseg import ogr
from geoseg.errors import ConfigError, OutputError, VectorError
from geoseg.places import AnyPath
from geoseg.stores import StorePath
from geoseg.vector.features import FIELDS, FeatureTable, Layer
from geoseg.vector.paths import path_to_read
from geoseg.vector_content import vector_name
from geoseg.warned import hear_warnings

_TAG = "GEOSEG_FINGERPRINT"
_SIDECAR = ".geoseg.json"
"""Of a format that has no place for a fingerprint."""


class VectorFile(ABC):
    """A polygon file that is being written, table by table."""

    suffix: ClassVar[str]
    driver: ClassVar[str]
    several_layers: ClassVar[bool]

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path = path
        self.fingerprint = fingerprint

    @staticmethod
    @abstractmethod
    def companions(path: AnyPath) -> list[AnyPath]:
        """All other files that belong to the file at `path`, or that readers take as part of it."""

    @staticmethod
    @abstractmethod
    def read_fingerprint(path: Path) -> str | None:
        """The fingerprint in a finished file; None where there is none."""

    def write(self, layer: Layer, table: FeatureTable) -> None:
        """Append rows to a layer, which is made when it is first seen."""
        # A missing CRS is allowed, and opening the raster has reported it.
        with hear_warnings(UserWarning, start="'crs' was not provided"):
            ogr.raw.write(
                self.path,
                table.geometry,
                table.columns(layer.classes),
                FIELDS,
                layer=self.layer_name(layer),
                driver=self.driver,
                geometry_type="Polygon",
                crs=None if layer.crs is None else layer.crs.to_wkt(version="WKT2_2019"),
                encoding="UTF-8",
                append=True,
                layer_metadata=self.metadata(),
            )

    def layer_name(self, layer: Layer) -> str:
        """What the layer is called in the file."""
        return layer.name

    def metadata(self) -> dict[str, str] | None:
        """What the format stores about each layer when it is made."""
        return None

    def finish(self) -> None:  # noqa: B027 - most formats are complete as they are
        """Complete the file after the last table."""


class GeoPackage(VectorFile):
    """OGC GeoPackage: layers of any size in one SQLite file."""

    suffix = ".gpkg"
    driver = "GPKG"
    several_layers = True

    @staticmethod
    def companions(path: AnyPath) -> list[AnyPath]:
        """SQLite's logs: it would apply one left from another file of this name to the new one."""
        return [path.with_name(path.name + tail) for tail in ("-wal", "-shm", "-journal")]

    @staticmethod
    def read_fingerprint(path: Path) -> str | None:
        """The entry in the metadata of the first layer."""
        try:
            with path_to_read(path) as plain:
                name = vector_name(path, plain)
                first_layer = ogr.list_layers(name)[0][0]
                metadata = ogr.read_info(name, layer=first_layer)["layer_metadata"]
        except (VectorError, ogr.DataSourceError, ogr.DataLayerError, IndexError):
            return None
        return (metadata or {}).get(_TAG)

    def layer_name(self, layer: Layer) -> str:
        """The layer's name; after an underscore where it is reserved or begins with a sign."""
        reserved = layer.name.lower().startswith(("gpkg", "sqlite_"))
        accepted = not reserved and re.match(r"\w", layer.name)
        return layer.name if accepted else f"_{layer.name}"

    def metadata(self) -> dict[str, str]:
        """The fingerprint, as metadata of the layer.

        For metadata of the dataset GDAL leaves an ``.aux.xml`` wherever it reads.
        """
        return {_TAG: self.fingerprint}


class Shapefile(VectorFile):
    """ESRI Shapefile: one layer, at most 2 GB, texts of at most 254 bytes."""

    suffix = ".shp"
    driver = "ESRI Shapefile"
    several_layers = False
    size_limit: ClassVar[int] = 2**31 - 1
    """Bytes that .shp and .dbf may each have by the format's definition; readers fail beyond."""
    text_limit: ClassVar[int] = 254
    """Bytes of a text."""

    def __init__(self, path: Path, fingerprint: str) -> None:
        super().__init__(path, fingerprint)
        # Bytes of .shp (exact) and .dbf (at most), headers first.
        self._shapes, self._rows = 100, 1000

    @staticmethod
    def companions(path: AnyPath) -> list[AnyPath]:
        """The shapefile's parts, the indexes that others may have added, and the fingerprint."""
        parts = (".shx", ".dbf", ".prj", ".cpg", ".qix", ".qpj", ".sbn", ".sbx", ".idm", ".ind")
        return [*(path.with_suffix(part) for part in parts), path.with_suffix(_SIDECAR)]

    @staticmethod
    def read_fingerprint(path: Path) -> str | None:
        """The entry in the sidecar, if the files are still those that it was written for."""
        try:
            entry = json.loads(_sidecar(path).read_text(encoding="utf-8"))
            return str(entry[_TAG]) if entry["bytes"] == _sizes(path) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def layer_name(self, layer: Layer) -> str:  # noqa: ARG002 - whatever the layer is called
        """The file's stem: GDAL would name another file after the layer."""
        return self.path.stem

    def write(self, layer: Layer, table: FeatureTable) -> None:
        """Append rows, unless the file would pass the format's limits."""
        longest = max(layer.classes.names, key=lambda name: len(name.encode()))
        text = len(longest.encode())
        if text > self.text_limit:
            raise VectorError(
                f"class name {longest[:20]!r}... has {text} bytes, a shapefile holds "
                f"{self.text_limit}; shorten it or write a GeoPackage (.gpkg)"
            )
        self._shapes += (
            52 * len(table) + 4 * int(table.rings.sum()) + 16 * int(table.vertices.sum())
        )
        # GDAL makes texts at least 80 bytes wide; the other columns and the row's mark take at most
        # 70.
        self._rows += (max(text, 80) + 70) * len(table)
        if max(self._shapes, self._rows) > self.size_limit:
            raise OutputError(
                f"{self.path.name} would pass the {self.size_limit / 1e9:.1f} GB that a shapefile "
                "can have; write a GeoPackage (.gpkg) instead"
            )
        super().write(layer, table)

    def finish(self) -> None:
        """Add the fingerprint, for which the format has no place."""
        entry = {_TAG: self.fingerprint, "bytes": _sizes(self.path)}
        _sidecar(self.path).write_text(json.dumps(entry) + "\n", encoding="utf-8")


def _sidecar(path: Path) -> Path:
    return path.with_suffix(_SIDECAR)


def _sizes(path: Path) -> dict[str, int]:
    """Bytes of the parts that a shapefile cannot do without."""
    return {part: path.with_suffix(part).stat().st_size for part in (".shp", ".shx", ".dbf")}


FORMATS: dict[str, type[VectorFile]] = {
    kind.suffix.removeprefix("."): kind for kind in (GeoPackage, Shapefile)
}
"""The formats by the names that ``--vectors`` takes."""


def format_of(path: AnyPath) -> type[VectorFile]:
    """The format that a path's suffix names.

    Raises:
        ConfigError: none does.
    """
    kind = FORMATS.get(path.suffix.removeprefix("."))
    if kind is None:
        known = " or ".join(kind.suffix for kind in FORMATS.values())
        raise ConfigError(
            f"{path}: suffix {path.suffix!r} names no vector format that geoseg writes; use {known}"
        )
    return kind


def read_vector_fingerprint(path: AnyPath) -> str | None:
    """The fingerprint in a polygon file; None where geoseg has not written it."""
    if isinstance(path, StorePath):
        return path.fingerprint()
    kind = FORMATS.get(path.suffix.removeprefix("."))
    return None if kind is None else kind.read_fingerprint(path)
