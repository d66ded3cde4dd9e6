"""Layers of one GeoPackage copied into another, as they are: by SQL, with one connection for many.

GDAL opens a GeoPackage anew for each layer that it adds, with all layers that are there: the time
for many of them would grow with the square of their number. So would SQLite's, which looks through
its schema at each statement that makes something: what is made is taken out of the schema, with the
triggers of all layers, and entered last. Tables are those of
https://www.geopackage.org/spec140/, and what GDAL adds to them.
"""

from __future__ import annotations

import sqlite3
import struct
from contextlib import closing
from pathlib import Path

_INDEX_TABLES = ("rowid", "node", "parent")
"""What SQLite keeps an R-tree in, in tables of its name and these endings."""
_CACHE_KIB = 16 * 1024
"""Of pages: the schema of some thousands of layers, which SQLite's usual 2 MiB would not hold."""
_AT_ONCE = 500
"""Layers that a connection copies: it keeps a tenth of a megabyte of each spatial index."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection to a file that is only being built: a failure loses all of it anyway."""
    file = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    file.execute("PRAGMA synchronous = OFF")
    file.execute("PRAGMA journal_mode = OFF")
    file.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    return file


class LayerCopies:
    """Layers that are copied into a GeoPackage, which nobody else has open; `end` completes it.

    Args:
        path: the GeoPackage.

    All methods raise `sqlite3.Error` where the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._side = path.with_name(f"schema-{path.name}")
        """Holds what is entered last."""
        self._copied = 0
        self._file = self._open()
        self._can_enter = self._may_be_entered()
        self._file.execute("CREATE TABLE side.schema AS SELECT * FROM main.sqlite_master WHERE 0")

    def _open(self) -> sqlite3.Connection:
        file = connect(self._path)
        file.execute("ATTACH ? AS side", (str(self._side),))
        file.execute("PRAGMA side.synchronous = OFF")
        file.execute("PRAGMA side.journal_mode = OFF")
        file.execute("PRAGMA writable_schema = ON")
        return file

    def add(self, other: Path, name: str) -> None:
        """Copy a layer with its spatial index and its metadata.

        Args:
            other: the GeoPackage that has it.
            name: of the layer; no other one is called so.
        """
        if self._copied == _AT_ONCE:
            self._file.close()
            self._file, self._copied = self._open(), 0
        self._copied += 1
        self._file.execute("ATTACH ? AS other", (str(other),))
        self._file.execute("BEGIN")
        self._copy(name)
        self._file.execute("COMMIT")
        self._file.execute("DETACH other")

    def _copy(self, name: str) -> None:
        file, index = self._file, f"rtree_{name}_geom"
        of_index = [f"{index}_{ending}" for ending in _INDEX_TABLES]
        for table in (name, index):
            _make_table(file, table)
        for table in (name, *of_index):
            file.execute(f"DELETE FROM main.{_quoted(table)}")  # the root of an empty index
            file.execute(f"INSERT INTO main.{_quoted(table)} SELECT * FROM other.{_quoted(table)}")
        known = _reference_system(file, name)
        for table in ("contents", "geometry_columns", "ogr_contents", "extensions"):
            _copy_rows(file, f"gpkg_{table}", name, known)
        _copy_metadata(file, name)
        if self._can_enter:
            self._take_out([name, index, *of_index])
        file.execute(
            "INSERT INTO side.schema SELECT * FROM other.sqlite_master "
            "WHERE type = 'trigger' AND tbl_name = ?",
            (name,),
        )

    def _may_be_entered(self) -> bool:
        """Whether this SQLite does not defend its schema, as that of macOS does."""
        try:
            self._file.execute("DELETE FROM main.sqlite_master WHERE 0")
        except sqlite3.OperationalError:
            return False
        # A file that moves its pages about would lose those that are in no schema.
        vacuum: tuple[int] = self._file.execute("PRAGMA main.auto_vacuum").fetchone()
        return vacuum == (0,)

    def _take_out(self, tables: list[str]) -> None:
        """Take tables that are filled out of the schema, and what belongs to them."""
        made = f"main.sqlite_master WHERE tbl_name IN ({', '.join('?' for _ in tables)})"
        self._file.execute(f"INSERT INTO side.schema SELECT * FROM {made} ORDER BY rowid", tables)
        self._file.execute(f"DELETE FROM {made}", tables)

    def end(self) -> None:
        """Complete the layers that were copied, and close the file."""
        if self._can_enter:
            whole = "SELECT * FROM side.schema ORDER BY rowid"
            self._file.execute(f"INSERT INTO main.sqlite_master {whole}")
        else:
            for (sql,) in self._file.execute("SELECT sql FROM side.schema").fetchall():
                self._file.execute(sql)
        self.close()

    def close(self) -> None:
        """Let go of the file, in whatever state it is."""
        self._file.close()
        self._side.unlink(missing_ok=True)


def _make_table(file: sqlite3.Connection, name: str) -> None:
    """Make an empty table as the other file has it."""
    found = file.execute(
        "SELECT sql FROM other.sqlite_master WHERE type = 'table' AND name = ?", (name,)
    )
    for (sql,) in found.fetchall():
        file.execute(sql)


def _reference_system(file: sqlite3.Connection, name: str) -> int | None:
    """Make the layer's coordinate system known; its number, where it must be another one here.

    Those without a number of their own are counted in each file.
    """
    facts = "organization, organization_coordsys_id, definition"
    system = f"SELECT {facts} FROM {{}}.gpkg_spatial_ref_sys WHERE srs_id = ?"
    (number,) = file.execute(
        "SELECT srs_id FROM other.gpkg_contents WHERE table_name = ?", (name,)
    ).fetchone()
    wanted = file.execute(system.format("other"), (number,)).fetchone()
    there = file.execute(system.format("main"), (number,)).fetchone()
    if there == wanted:
        return None
    chosen = None
    if there is not None:
        (chosen,) = file.execute("SELECT max(srs_id) + 1 FROM main.gpkg_spatial_ref_sys").fetchone()
        # After the magic number, version and flags, each geometry names its system.
        file.execute(
            f"UPDATE main.{_quoted(name)} SET geom = "
            "CAST(substr(geom, 1, 4) || ? || substr(geom, 9) AS BLOB)",
            (struct.pack("<i", chosen),),
        )
    _copy_rows(file, "gpkg_spatial_ref_sys", number, chosen, key="srs_id")
    return chosen


def _copy_rows(
    file: sqlite3.Connection, table: str, value: object, known: int | None, key: str = "table_name"
) -> None:
    """Copy the rows of a table about a layer; `known` is the coordinate system's number here."""
    with closing(file.execute(f"SELECT * FROM other.{table} WHERE {key} = ?", (value,))) as found:
        columns = [column for column, *_ in found.description]
        rows = found.fetchall()
    for row in rows:
        if known is not None and "srs_id" in columns:
            row = [
                known if name == "srs_id" else each for name, each in zip(columns, row, strict=True)
            ]
        places = ", ".join("?" for _ in columns)
        file.execute(f"INSERT INTO main.{table} ({', '.join(columns)}) VALUES ({places})", row)


def _copy_metadata(file: sqlite3.Connection, name: str) -> None:
    number = "SELECT md_file_id FROM other.gpkg_metadata_reference WHERE table_name = ?"
    content = "md_scope, md_standard_uri, mime_type, metadata"
    for (other,) in file.execute(number, (name,)).fetchall():
        own = file.execute(
            f"INSERT INTO main.gpkg_metadata ({content}) "
            f"SELECT {content} FROM other.gpkg_metadata WHERE id = ?",
            (other,),
        ).lastrowid
        file.execute(
            "INSERT INTO main.gpkg_metadata_reference SELECT reference_scope, table_name, "
            "column_name, row_id_value, timestamp, ?, NULL "
            "FROM other.gpkg_metadata_reference WHERE table_name = ? AND md_file_id = ?",
            (own, name, other),
        )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
