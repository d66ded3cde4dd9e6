"""What all vector file formats share: a file that is written table by table, and opened once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from queue import Full, Queue
from typing import ClassVar

import numpy as np

from geoseg import ogr
from geoseg.classes import ClassScheme
from geoseg.errors import ConfigError, VectorError
from geoseg.places import AnyPath
from geoseg.styles import own_styles, write_style
from geoseg.vector.arrow_stream import ArrowStream
from geoseg.vector.features import COLUMNS, FeatureTable, Layer
from geoseg.vector.style import qml_of, sld_of

FINGERPRINT = "GEOSEG_FINGERPRINT"
"""The name under which files hold what they were made from."""
_PATIENCE = 0.05
"""Seconds between looks whether a file's thread still takes tables."""


class VectorFile(ABC):
    """A polygon file that is being written.

    Of a layer of several tables, a thread has it open and is given a table at a time: at most one
    waits. The table that comes next is made meanwhile.
    """

    suffix: ClassVar[str]
    driver: ClassVar[str]
    several_layers: ClassVar[bool] = False
    styled_inside: ClassVar[bool] = False
    """Whether the file holds its styles: those beside it are another file's."""
    needs_crs: ClassVar[bool] = False
    """Whether its coordinates are always longitude and latitude."""

    field_names: ClassVar[Mapping[str, str]] = {}
    """What fields are called in the file, where that differs."""
    file_options: ClassVar[Mapping[str, str]] = {}
    """What GDAL is told when it makes the file."""
    package: ClassVar[str | None] = None
    """What writes it, where that is not GDAL."""

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path = path
        self.fingerprint = fingerprint
        self._shown: dict[str, tuple[ClassScheme, set[int]]] = {}
        """Of each layer: its classes, and those that its style lists."""
        self._first: tuple[Layer, FeatureTable] | None = None
        """Of the layer that is written, as long as there is one table of it."""
        self._writer: _Writer | None = None

    @classmethod
    def check_installed(cls) -> None:
        """Refuse to begin where the package that writes it is missing.

        Raises:
            ConfigError: it is not installed.
        """
        if cls.package is not None and find_spec(cls.package) is None:
            name = cls.suffix.removeprefix(".")
            raise ConfigError(
                f"{name} needs {cls.package}, which is not installed; "
                f"pip install 'geoseg[{name}]', or choose another format"
            )

    @classmethod
    def companions(cls, path: AnyPath) -> list[AnyPath]:
        """All other files that belong to the file at `path`, or that readers take as part of it."""
        return [*cls.beside(path), *([] if cls.styled_inside else own_styles(path))]

    @staticmethod
    def beside(path: AnyPath) -> list[AnyPath]:  # noqa: ARG004 - most formats have none
        """The same without styles."""
        return []

    @staticmethod
    @abstractmethod
    def read_fingerprint(path: Path) -> str | None:
        """The fingerprint in a finished file; None where there is none."""

    def write(self, layer: Layer, table: FeatureTable) -> None:
        """Append rows to a layer, which is made when it is first seen; layers do not alternate."""
        name = self.layer_name(layer)
        if self.needs_crs and layer.crs is None:
            raise VectorError(no_crs(layer.name, self.suffix))
        if name not in self._shown:
            self._end_layer()
            self._shown[name] = (layer.classes, set(layer.legend))
            self._first = layer, table
        else:
            self._write_further(layer, table)
        self._shown[name][1].update(np.unique(table.class_id).tolist())

    def _write_further(self, layer: Layer, table: FeatureTable) -> None:
        if self._writer is None:
            self._writer = _Writer(lambda tables: self.write_layer(layer, tables))
        if self._first is not None:
            self._writer.put(self._first[1])
            self._first = None
        self._writer.put(table)

    def finish(self) -> None:
        """Complete the file after the last table."""
        self._end_layer()
        self.complete()

    def abandon(self) -> None:
        """Stop writing, in whatever state the file is."""
        if self._writer is not None:
            self._writer.stop()

    def _end_layer(self) -> None:
        first, self._first = self._first, None
        writer, self._writer = self._writer, None
        if first is not None:  # a thread for one table would cost more than it
            self.write_table(*first)
        if writer is not None:
            writer.end()

    def write_table(self, layer: Layer, table: FeatureTable) -> None:
        """Make a layer of one table."""
        self.write_layer(layer, iter([table]))

    def write_layer(self, layer: Layer, tables: Iterator[FeatureTable]) -> None:
        """Make a layer of tables, with the file open all the while."""
        self.write_layer_to(self.path, layer, tables)

    def write_layer_to(self, path: Path, layer: Layer, tables: Iterator[FeatureTable]) -> None:
        """Make the same layer, but in any file of this format."""
        names = {self.field_names.get(name, name): COLUMNS[name] for name in layer.fields}
        stream = ArrowStream(
            {**names, "geometry": "geometry"},
            ([*table.columns(layer).values(), table.geometry] for table in tables),
        )
        try:
            ogr.raw.write_arrow(
                stream,
                path,
                layer=self.layer_name(layer),
                driver=self.driver,
                geometry_type="Polygon",
                crs=None if layer.crs is None else layer.crs.to_wkt(version="WKT2_2019"),
                encoding="UTF-8",
                append=path.exists(),
                layer_metadata=self.metadata(),
                layer_options=self.options(),
                dataset_options=None if path.exists() else self.file_options,
            )
        except Exception:
            if stream.error is not None:
                raise stream.error from None
            raise

    def layer_name(self, layer: Layer) -> str:
        """What the layer is called in the file."""
        return layer.name

    def metadata(self) -> Mapping[str, str] | None:
        """What the format stores about each layer when it is made."""
        return None

    def options(self) -> Mapping[str, str]:
        """What GDAL is told about each layer when it is made."""
        return {}

    def complete(self) -> None:
        """Add what a complete file has besides its rows: styles beside it."""
        for _, qml, sld in self.styles():
            write_style(self.path, ".qml", qml)
            write_style(self.path, ".sld", sld)

    def styles(self) -> Iterator[tuple[str, str, str]]:
        """Of each layer: its name, QML and SLD."""
        for name, (classes, shown) in self._shown.items():
            yield name, qml_of(classes, sorted(shown)), sld_of(name, classes, sorted(shown))


def no_crs(name: object, suffix: str) -> str:
    """What is said of a raster whose polygons have no longitude and latitude."""
    return (
        f"{name}: has no coordinate system, and {suffix} holds longitude and latitude; give one "
        "(--crs in predict), or choose another format"
    )


class _AbandonedError(Exception):
    """No further table comes, and the layer is not complete."""


class _Writer:
    """A thread that is given tables and makes a layer of them."""

    def __init__(self, write: Callable[[Iterator[FeatureTable]], None]) -> None:
        self._given: Queue[FeatureTable | _AbandonedError | None] = Queue(1)
        self._pool = ThreadPoolExecutor(1, "geoseg-vectors")
        self._outcome = self._pool.submit(write, self._tables())

    def put(self, table: FeatureTable | None) -> None:
        """Hand on a table; None ends the layer.

        Raises what writing those before has raised.
        """
        self._offer(table)
        if self._outcome.done():
            self._outcome.result()

    def end(self) -> None:
        """Wait until the layer is complete; raises what writing it has raised."""
        self._offer(None)
        self._pool.shutdown()
        self._outcome.result()

    def stop(self) -> None:
        """End the thread, whatever it has written."""
        self._offer(_AbandonedError())
        self._pool.shutdown()

    def _offer(self, given: FeatureTable | _AbandonedError | None) -> None:
        while not self._outcome.done():
            with suppress(Full):
                self._given.put(given, timeout=_PATIENCE)
                return

    def _tables(self) -> Iterator[FeatureTable]:
        while (given := self._given.get()) is not None:
            if isinstance(given, _AbandonedError):
                raise given
            yield given
