"""The vector file formats: how each is written, and which files belong to it on disk."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from geoseg import ogr
from geoseg.errors import ConfigError, OutputError, VectorError
from geoseg.files import sync_file
from geoseg.places import AnyPath
from geoseg.vector.features import EXTRA_FIELDS, FeatureTable, Layer, check_attributes
from geoseg.vector.geoparquet import GeoParquet
from geoseg.vector.layer_copies import LayerCopies
from geoseg.vector.paths import path_to_read
from geoseg.vector.sidecar import read_sidecar, write_sidecar
from geoseg.vector.style import add_styles
from geoseg.vector.vector_file import FINGERPRINT, VectorFile
from geoseg.vector_content import vector_name

GPKG_OPTIONS = {"VERSION": "1.2"}
"""What GDAL is told when it makes a GeoPackage: programs of before 2023 warn of newer versions."""


class GeoPackage(VectorFile):
    """OGC GeoPackage: layers of any size in one SQLite file; the spatial index is built last."""

    suffix = ".gpkg"
    driver = "GPKG"
    several_layers = True
    styled_inside = True
    file_options = GPKG_OPTIONS

    def __init__(self, path: Path, fingerprint: str) -> None:
        super().__init__(path, fingerprint)
        self._copies: LayerCopies | None = None

    @staticmethod
    def beside(path: AnyPath) -> list[AnyPath]:
        """SQLite's logs: it would apply one left from another file of this name to the new one."""
        return [path.with_name(path.name + tail) for tail in ("-wal", "-shm", "-journal")]

    @staticmethod
    def read_fingerprint(path: Path) -> str | None:
        """The entry in the metadata of the first layer."""
        return _layer_metadata(path).get(FINGERPRINT)

    def layer_name(self, layer: Layer) -> str:
        """The layer's name; after an underscore where it is reserved or begins with a sign."""
        reserved = layer.name.lower().startswith(("gpkg", "sqlite_"))
        accepted = not reserved and re.match(r"\w", layer.name)
        return layer.name if accepted else f"_{layer.name}"

    def metadata(self) -> dict[str, str]:
        """The fingerprint, as metadata of the layer.

        For metadata of the dataset GDAL leaves an ``.aux.xml`` wherever it reads.
        """
        return {FINGERPRINT: self.fingerprint}

    def write_table(self, layer: Layer, table: FeatureTable) -> None:
        """Make a layer of one table; in a file that has some, by way of another."""
        if not self.path.exists():
            super().write_table(layer, table)
            return
        other = self.path.with_name(f"layer-{self.path.name}")
        self.write_layer_to(other, layer, iter([table]))
        self._copies = self._copies or LayerCopies(self.path)
        self._copies.add(other, self.layer_name(layer))
        other.unlink()

    def write_layer(self, layer: Layer, tables: Iterator[FeatureTable]) -> None:
        """Make a layer of tables, with the file open all the while."""
        self._end_copies()
        super().write_layer(layer, tables)

    def abandon(self) -> None:
        """Stop writing, in whatever state the file is."""
        super().abandon()
        if self._copies is not None:
            self._copies.close()

    def _end_copies(self) -> None:
        """Complete the layers that were copied; nobody else may have the file open before."""
        if self._copies is not None:
            self._copies.end()
            self._copies = None

    def complete(self) -> None:
        """Put the styles into the file, and wait until the disk holds it."""
        self._end_copies()
        add_styles(self.path, self.styles())
        sync_file(self.path)


class Shapefile(VectorFile):
    """ESRI Shapefile: one layer, at most 2 GB, texts of at most 254 bytes."""

    suffix = ".shp"
    driver = "ESRI Shapefile"
    field_names: ClassVar[Mapping[str, str]] = {"perimeter_m": "perimeter"}
    """Of ten letters at most."""
    size_limit: ClassVar[int] = 2**31 - 1
    """Bytes that .shp and .dbf may each have by the format's definition; readers fail beyond."""
    text_limit: ClassVar[int] = 254
    """Bytes of a text."""

    def __init__(self, path: Path, fingerprint: str) -> None:
        super().__init__(path, fingerprint)
        # Bytes of .shp (exact) and .dbf (at most), headers first.
        self._shapes, self._rows = 100, 1000

    @staticmethod
    def beside(path: AnyPath) -> list[AnyPath]:
        """The shapefile's parts, indexes that others may have added, and the fingerprint."""
        parts = (".shx", ".dbf", ".prj", ".cpg", ".qix", ".qpj", ".sbn", ".sbx", ".idm", ".ind")
        return [*(path.with_suffix(part) for part in parts), path.with_suffix(_SIDECAR)]

    @staticmethod
    def read_fingerprint(path: Path) -> str | None:
        """The entry in the sidecar, if the files are still those that it was written for."""
        return read_sidecar(path.with_suffix(_SIDECAR), path, _SHAPEFILE)

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
        # 70, further ones 80.
        further = 80 * sum(name in EXTRA_FIELDS for name in layer.fields)
        self._rows += (max(text, 80) + 70 + further) * len(table)
        if max(self._shapes, self._rows) > self.size_limit:
            raise OutputError(
                f"{self.path.name} would pass the {self.size_limit / 1e9:.1f} GB that a shapefile "
                "can have; write a GeoPackage (.gpkg) instead"
            )
        super().write(layer, table)

    def complete(self) -> None:
        """Add styles, and the fingerprint, for which the format has no place."""
        super().complete()
        write_sidecar(self.path.with_suffix(_SIDECAR), self.path, _SHAPEFILE, self.fingerprint)


class FlatGeobuf(VectorFile):
    """FlatGeobuf: one layer with a packed index; some 100 bytes a feature in memory to sort it."""

    suffix = ".fgb"
    driver = "FlatGeobuf"

    @staticmethod
    def read_fingerprint(path: Path) -> str | None:
        """The entry in the description, which is part of the header."""
        return _described(_layer_metadata(path).get("DESCRIPTION", ""))

    def options(self) -> Mapping[str, str]:
        """The fingerprint, as the layer's description."""
        return {"DESCRIPTION": f"{FINGERPRINT}={self.fingerprint}"}


class GeoJSON(VectorFile):
    """GeoJSON of RFC 7946: longitude and latitude on WGS 84."""

    suffix = ".geojson"
    driver = "GeoJSON"
    needs_crs = True

    @staticmethod
    def read_fingerprint(path: Path) -> str | None:
        """The entry in the description, which stands before the features."""
        try:
            with path.open("rb") as stream:
                return _described(stream.read(_HEAD).decode(errors="replace"))
        except OSError:
            return None

    def options(self) -> Mapping[str, str]:
        """As the RFC wants it, and the fingerprint."""
        described = {"DESCRIPTION": f"{FINGERPRINT}={self.fingerprint}"}
        return {"RFC7946": "YES", **_PRECISION, **described}


class GeoJSONSeq(VectorFile):
    """GeoJSON features, one a line: longitude and latitude on WGS 84."""

    suffix = ".geojsonl"
    driver = "GeoJSONSeq"
    needs_crs = True

    @staticmethod
    def beside(path: AnyPath) -> list[AnyPath]:
        """The fingerprint."""
        return [path.with_suffix(_LINES_SIDECAR)]

    @staticmethod
    def read_fingerprint(path: Path) -> str | None:
        """The entry in the sidecar, if the file is still the one that it was written for."""
        return read_sidecar(path.with_suffix(_LINES_SIDECAR), path, (path.suffix,))

    def options(self) -> Mapping[str, str]:
        """Lines without the sign that may stand before them."""
        return {"RS": "NO", **_PRECISION}

    def complete(self) -> None:
        """Add styles, and the fingerprint, for which the format has no place."""
        super().complete()
        sidecar = self.path.with_suffix(_LINES_SIDECAR)
        write_sidecar(sidecar, self.path, (self.suffix,), self.fingerprint)


_PRECISION = {"COORDINATE_PRECISION": "9"}
"""Digits: a tenth of a millimetre, so that pixels of a centimetre keep their shape."""
_HEAD = 4096
"""Bytes within which a GeoJSON file describes itself."""
_SIDECAR, _LINES_SIDECAR = ".geoseg.json", ".geojsonl.geoseg.json"
_SHAPEFILE = (".shp", ".shx", ".dbf")
"""The parts that a shapefile cannot do without."""


def _layer_metadata(path: Path) -> dict[str, str]:
    """The metadata of the first layer of a file."""
    try:
        with path_to_read(path) as plain:
            name = vector_name(path, plain)
            first_layer = ogr.list_layers(name)[0][0]
            found: dict[str, str] | None = ogr.read_info(name, layer=first_layer)["layer_metadata"]
    except (VectorError, ogr.DataSourceError, ogr.DataLayerError, IndexError):
        return {}
    return found or {}


def _described(text: str) -> str | None:
    found = re.search(rf"{FINGERPRINT}=([^\"]+)", text)
    return found[1] if found else None


FORMATS: dict[str, type[VectorFile]] = {
    kind.suffix.removeprefix("."): kind
    for kind in (GeoPackage, Shapefile, FlatGeobuf, GeoParquet, GeoJSON, GeoJSONSeq)
}
"""The formats by the names that ``--vectors`` takes."""


def format_of(path: AnyPath) -> type[VectorFile]:
    """The format that a path's suffix names.

    Raises:
        ConfigError: none does, or a package that writes it is missing.
    """
    kind = FORMATS.get(path.suffix.removeprefix("."))
    if kind is None:
        *most, last = (each.suffix for each in FORMATS.values())
        raise ConfigError(
            f"{path}: suffix {path.suffix!r} names no vector format that geoseg writes; "
            f"use {', '.join(most)} or {last}"
        )
    kind.check_installed()
    return kind


def check_polygons(formats: Sequence[str], attributes: Sequence[str]) -> None:
    """Refuse formats whose packages are missing, and attributes that polygons cannot have.

    Raises:
        ConfigError: there is one.
    """
    check_attributes(attributes)
    for name in formats:
        FORMATS[name].check_installed()


def read_vector_fingerprint(path: Path) -> str | None:
    """The fingerprint in a polygon file; None where geoseg has not written it."""
    kind = FORMATS.get(path.suffix.removeprefix("."))
    return None if kind is None else kind.read_fingerprint(path)
