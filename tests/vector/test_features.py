from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS

from geoseg.classes import ClassScheme
from geoseg.errors import VectorError
from geoseg.vector import Layer, Regions
from geoseg.vector import features as module
from geoseg.vector.features import feature_tables

GRID = Affine(2.0, 0.0, 500_000.0, 0.0, -2.0, 5_400_000.0)
CLASSES = ClassScheme.from_names(["road", "roof"])


def squares(count: int, class_id: int = 0) -> Regions:
    geometry = shapely.box(np.arange(count), 0, np.arange(count) + 1, 1)
    ones = np.ones(count, np.int64)
    return Regions(geometry, np.full(count, class_id, np.uint8), ones, 51 * ones)


def layer(*regions: Regions) -> Layer:
    return Layer("town", iter(regions), 9, 9, GRID, CRS.from_epsg(32632), CLASSES)


def test_rows_carry_geometry_in_crs_coordinates_and_all_attributes() -> None:
    (table,) = feature_tables(layer(squares(2, class_id=1)))
    assert shapely.from_wkb(table.geometry[1]).bounds == (
        500_002.0,
        5_399_998.0,
        500_004.0,
        5_400_000.0,
    )
    columns = table.columns(layer())
    assert {name: values.tolist() for name, values in columns.items()} == {
        "class_id": [1, 1],
        "class": ["roof", "roof"],
        "area_m2": [4.0, 4.0],
        "confidence": [0.2, 0.2],
    }
    assert (len(table), table.vertices.tolist(), table.rings.tolist()) == (2, [5, 5], [1, 1])


def test_a_layer_without_regions_is_one_empty_table() -> None:
    assert [len(table) for table in feature_tables(layer())] == [0]


def test_small_batches_are_gathered_and_large_ones_passed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_ROWS", 10)
    drawn: list[int] = []

    def batches() -> Iterator[Regions]:
        for size in (4, 4, 4, 30, 1):
            drawn.append(size)
            yield squares(size)

    tables = feature_tables(Layer("town", batches(), 9, 9, Affine.identity(), None, CLASSES))
    assert len(next(tables)) == 12
    assert drawn == [4, 4, 4]
    assert [len(table) for table in tables] == [30, 1]


@pytest.mark.parametrize(("limit", "value"), [("_ROWS", 10), ("_VERTICES", 50)])
def test_a_table_ends_when_it_reaches_the_limit_and_the_next_begins_at_none(
    monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(module, limit, value)
    sizes = (4, 5, 1, 4, 5, 1, 9)  # a square has 5 vertices
    assert [len(table) for table in feature_tables(layer(*map(squares, sizes)))] == [10, 10, 9]


def test_rings_count_shells_and_holes() -> None:
    ring = shapely.box(0, 0, 5, 5) - shapely.box(1, 1, 2, 2) - shapely.box(3, 3, 4, 4)
    regions = Regions(np.array([ring], object), np.zeros(1, np.uint8), np.array([23]), None)
    (table,) = feature_tables(layer(squares(2), regions))
    assert (len(table), table.rings.sum(), table.vertices.sum()) == (3, 5, 25)
    assert np.isnan(table.confidence[2])


@pytest.mark.parametrize(("crs", "metres"), [(32632, 28.0), (2263, 28 * 1200 / 3937), (None, None)])
def test_perimeter_and_colour_on_demand(crs: int | None, metres: float | None) -> None:
    ring = shapely.box(0, 0, 5, 5) - shapely.box(1, 1, 3, 3)
    regions = Regions(np.array([ring], object), np.zeros(1, np.uint8), np.array([21]), None)
    grid = Affine(1.0, 0.0, 500_000.0, 0.0, -1.0, 200_000.0)
    named = None if crs is None else CRS.from_epsg(crs)
    asked = Layer(
        "town", [regions], 9, 9, grid, named, CLASSES, attributes=("color", "perimeter_m")
    )
    (table,) = feature_tables(asked)
    columns = table.columns(asked)
    assert list(columns)[4:] == ["perimeter_m", "color"]
    assert columns["color"].tolist() == ["#{:02x}{:02x}{:02x}".format(*CLASSES.colors[0])]
    assert columns["perimeter_m"] == pytest.approx([metres or np.nan], rel=1e-6, nan_ok=True)


def test_a_class_without_name_is_refused() -> None:
    with pytest.raises(
        VectorError, match=r"class 2 in layer 'town', where 2 classes are named; name every class"
    ):
        list(feature_tables(layer(squares(1, class_id=2))))


def test_the_size_of_the_raster_decides_how_areas_are_measured() -> None:
    # World mercator is true to scale at the equator and not where this raster ends, in the north.
    crs, grid = CRS.from_epsg(3395), Affine(1000.0, 0.0, 0.0, 0.0, 1000.0, 0.0)
    for height, width, planar in ((10, 10, True), (10, 9000, True), (9000, 10, False)):
        square = Layer("town", iter([squares(1)]), height, width, grid, crs, CLASSES)
        (table,) = feature_tables(square)
        assert (table.area[0] == 1e6) == planar
