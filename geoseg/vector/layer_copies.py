"""Layers of one GeoPackage copied into another, as they are: by SQL, with one connection for all.

GDAL opens a GeoPackage anew for each layer that it adds, with all layers that are there: the time
for many of them would grow with the square of their number. SQLite in turn looks through its schema
at each statement that makes something, so the triggers, most of that schema, are all entered last.
Tables are those of https://www.geopackage.org/spec140/, and what GDAL adds to them.
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


def connect(path: Path) -> sqlite3.Connection:
    """A connection to a file that is only being built: a failure loses all of it anyway."""
    file = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    file.execute("PRAGMA synchronous = OFF")
    file.execute("PRAGMA journal_mode = OFF")
    file.execute("PRAGMA writable_schema = ON")  # for `enter_triggers`
    file.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    return file


def copy_layer(file: sqlite3.Connection, other: Path, name: str) -> None:
    """Copy a layer with its spatial index and its metadata; `enter_triggers` completes it.

    Args:
        file: the GeoPackage that gets it, and has none of this name.
        other: the one that has it.
        name: of the layer.

    Raises:
        sqlite3.Error: it cannot be written.
    """
    file.execute("ATTACH ? AS other", (str(other),))
    file.execute("BEGIN")
    index = f"rtree_{name}_geom"
    for table in (name, index):
        _make_table(file, table)
    for table in (name, *(f"{index}_{ending}" for ending in _INDEX_TABLES)):
        file.execute(f"DELETE FROM main.{_quoted(table)}")  # the root of an empty index
        file.execute(f"INSERT INTO main.{_quoted(table)} SELECT * FROM other.{_quoted(table)}")
    known = _reference_system(file, name)
    for table in ("contents", "geometry_columns", "ogr_contents", "extensions"):
        _copy_rows(file, f"gpkg_{table}", name, known)
    _copy_metadata(file, name)
    triggers = "SELECT * FROM other.sqlite_master WHERE type = 'trigger'"
    file.execute(f"CREATE TEMP TABLE IF NOT EXISTS triggers AS {triggers} AND 0")
    file.execute(f"INSERT INTO temp.triggers {triggers} AND tbl_name = ?", (name,))
    file.execute("COMMIT")
    file.execute("DETACH other")


def enter_triggers(file: sqlite3.Connection) -> None:
    """Give all layers that were copied their triggers; to be called once, after the last of them.

    Raises:
        sqlite3.Error: it cannot be written.
    """
    try:
        file.execute("INSERT INTO main.sqlite_master SELECT * FROM temp.triggers")
    except sqlite3.OperationalError:  # an SQLite that defends its schema, as macOS has
        for (sql,) in file.execute("SELECT sql FROM temp.triggers").fetchall():
            file.execute(sql)


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
