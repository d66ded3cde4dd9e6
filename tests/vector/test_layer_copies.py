"""Layers copied from one GeoPackage into another, read by GDAL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import pytest
from affine import Affine
from rasterio.crs import CRS

from geoseg.classes import ClassScheme
from geoseg.vector import (
    Layer,
    join_parts,
    layer_copies,
    polygonize_part,
    read_vector_fingerprint,
    write_layers,
)
from geoseg.vector import features as features_module
from geoseg.vector.layer_copies import LayerCopies

PLACE = Affine(0.5, 0.0, 500_000.0, 0.0, -0.5, 5_400_000.0)
CLASSES = ClassScheme.from_names(["Straße", "roof"])
UTM = CRS.from_epsg(25832)
# Two systems without a number: each file would count them from the same one on.
TILTED, OTHER = (
    CRS.from_user_input(f"+proj=tmerc +lon_0={lon} +k=0.99 +ellps=bessel") for lon in (3, 7)
)


def layer(name: str, seed: int, crs: CRS | None) -> Layer:
    labels = np.random.default_rng(seed).integers(0, 2, (30, 40), np.uint8)
    parts = [
        polygonize_part(labels[row : row + 10], labels[row : row + 10], row, 0)
        for row in (0, 10, 20)
    ]
    return Layer(name, join_parts(parts, 30, 40), 30, 40, PLACE, crs, CLASSES)


GIVEN = [
    ("first", UTM),
    ('second "quoted"', TILTED),
    ("third", OTHER),
    ("fourth", TILTED),
    ("5th; Straße'", None),
]


@pytest.fixture
def together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(layer_copies, "_AT_ONCE", 3)
    path = tmp_path / "all.gpkg"
    write_layers([layer(name, seed, crs) for seed, (name, crs) in enumerate(GIVEN)], {path: "f00d"})
    return path


def test_each_layer_is_the_one_that_a_file_of_its_own_has(together: Path, tmp_path: Path) -> None:
    for seed, (name, crs) in enumerate(GIVEN):
        alone = tmp_path / f"{seed}.gpkg"
        write_layers([layer(name, seed, crs)], {alone: "f00d"})
        own, copy = (geopandas.read_file(path, layer=name) for path in (alone, together))
        assert own.equals(copy)
        assert own.crs == copy.crs
        about, of_copy = (pyogrio.read_info(path, layer=name) for path in (alone, together))
        for fact in ("features", "total_bounds", "layer_metadata", "capabilities", "dtypes"):
            assert np.all(about[fact] == of_copy[fact]), fact
        box = tuple(own.geometry[5].bounds)
        near, of_copy = (
            pyogrio.read_dataframe(path, layer=name, bbox=box) for path in (alone, together)
        )
        assert 0 < len(near) < len(own)
        assert near.equals(of_copy)
    assert read_vector_fingerprint(together) == "f00d"
    names = [name for name, _ in GIVEN]
    assert pyogrio.list_layers(together)[:, 0].tolist() == [*names, "layer_styles"]


def test_the_file_is_sound_and_its_layers_can_be_edited(together: Path) -> None:
    with closing(sqlite3.connect(together)) as file:
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert file.execute("PRAGMA foreign_key_check").fetchall() == []
        for name, _ in GIVEN:
            checked = file.execute("SELECT rtreecheck(?)", (f"rtree_{name}_geom",)).fetchone()
            assert checked == ("ok",)
    name = GIVEN[2][0]
    rows = geopandas.read_file(together, layer=name)
    far = rows.iloc[[0]].translate(1000, 1000)
    added = rows.iloc[[0]].set_geometry(far)
    pyogrio.write_dataframe(added, together, layer=name, append=True)
    assert len(geopandas.read_file(together, layer=name)) == len(rows) + 1
    assert len(pyogrio.read_dataframe(together, layer=name, bbox=tuple(far.total_bounds))) == 1


def test_nothing_is_left_of_the_files_on_the_way(together: Path, tmp_path: Path) -> None:
    assert [path.name for path in tmp_path.iterdir()] == [together.name]


def test_large_and_small_layers_may_alternate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, limit = tmp_path / "all.gpkg", features_module._ROWS
    copied: list[str] = []
    add = LayerCopies.add

    def noting(self: LayerCopies, other: Path, name: str) -> None:
        copied.append(name)
        add(self, other, name)

    monkeypatch.setattr(LayerCopies, "add", noting)

    def layers() -> Iterator[Layer]:
        for number in range(5):
            monkeypatch.setattr(features_module, "_ROWS", 50 if number % 2 else limit)
            yield layer(str(number), number, UTM)

    counts = write_layers(layers(), {path: "f00d"})
    assert copied == ["2", "4"]
    assert [pyogrio.read_info(path, layer=str(number))["features"] for number in range(5)] == counts


def test_a_layer_costs_little_more_beside_many_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in steps of SQLite's machine, to the end of the file."""
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 10

    connect = layer_copies.connect

    def counting(path: Path) -> sqlite3.Connection:
        file = connect(path)
        file.set_progress_handler(step, 10)
        return file

    monkeypatch.setattr(layer_copies, "connect", counting)
    taken = []
    for count in (20, 40):
        steps = 0
        layers = (small_layer(str(number)) for number in range(count))
        write_layers(layers, {tmp_path / f"{count}.gpkg": "f00d"})
        taken.append(steps)
    for_each_other = (taken[1] - 2 * taken[0]) / 20**2
    assert for_each_other < 30  # of some 3,000; 200 where tables stay in the schema


def test_triggers_are_made_one_by_one_where_the_schema_is_defended(
    together: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = LayerCopies._open

    def defending(self: LayerCopies) -> sqlite3.Connection:
        file = make(self)
        file.execute("PRAGMA writable_schema = OFF")
        return file

    monkeypatch.setattr(LayerCopies, "_open", defending)
    defended = tmp_path / "defended.gpkg"
    layers = [layer(name, seed, crs) for seed, (name, crs) in enumerate(GIVEN)]
    write_layers(layers, {defended: "f00d"})
    assert triggers(defended) == triggers(together)
    assert len(triggers(together)) > 5 * len(GIVEN)


def small_layer(name: str) -> Layer:
    labels = np.zeros((2, 2), np.uint8)
    regions = join_parts([polygonize_part(labels, None, 0, 0)], 2, 2)
    return Layer(name, regions, 2, 2, PLACE, UTM, CLASSES)


def triggers(path: Path) -> set[tuple[str, ...]]:
    with closing(sqlite3.connect(path)) as file:
        found = "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'"
        return set(file.execute(found).fetchall())
