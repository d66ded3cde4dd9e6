from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from rasterio.crs import CRS

from geoseg.errors import VectorError
from geoseg.vector.read import read_attributed, read_polygons

BOXES = [
    shapely.box(0, 0, 2, 1),
    shapely.MultiPolygon([shapely.box(5, 5, 6, 6), shapely.box(8, 8, 9, 9)]),
]


@pytest.mark.parametrize("suffix", [".gpkg", ".shp", ".geojson", ".fgb"])
def test_polygons_come_in_the_crs_asked_for(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    frame = geopandas.GeoDataFrame({"n": [1, 2]}, geometry=BOXES, crs="EPSG:4326")
    options = {"layer_options": {"SPATIAL_INDEX": "NO"}} if suffix == ".fgb" else {}
    frame.to_file(path, **options)
    expected = frame.to_crs("EPSG:32631").geometry.to_numpy()
    found = read_polygons(path, CRS.from_epsg(32631))
    # Some formats make multipolygons of all; their points are the same.
    points = [
        shapely.get_coordinates(shapely.normalize(polygons)) for polygons in (found, expected)
    ]
    np.testing.assert_allclose(*points, atol=1e-6)
    as_they_are = read_polygons(path, CRS.from_epsg(4326))
    assert shapely.equals(as_they_are, np.array(BOXES)).all()
    assert shapely.equals(read_polygons(path, None), np.array(BOXES)).all()


def test_other_geometries_are_left_out_and_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    geopandas.GeoDataFrame(geometry=[shapely.Point(0, 0), BOXES[0]], crs="EPSG:4326").to_file(path)
    assert len(read_polygons(path, None)) == 1
    geopandas.GeoDataFrame(geometry=[shapely.Point(0, 0)], crs="EPSG:4326").to_file(path)
    with pytest.raises(VectorError, match="holds 1 features and no polygon; give polygons"):
        read_polygons(path, None)
    with pytest.raises(
        VectorError,
        match=r"nothing.gpkg: no polygons that can be read .*; give GeoPackage or GeoJSON",
    ):
        read_polygons(tmp_path / "nothing.gpkg", None)


def test_values_of_an_attribute_come_with_the_polygons_that_have_them(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    geometry = [shapely.Point(0, 0), *BOXES]
    columns = {"kind": ["point", "roof", None], "n": [0, 1, 2]}
    geopandas.GeoDataFrame(columns, geometry=geometry, crs="EPSG:32631").to_file(path)
    polygons, values = read_attributed(path, CRS.from_epsg(32631), "kind")
    assert shapely.equals(polygons, np.array(BOXES)).all()
    assert values == ["roof", None]
    assert read_attributed(path, None, "n")[1] == [1, 2]
    with pytest.raises(VectorError, match=r"has no attribute 'type'; choose one of kind, n$"):
        read_attributed(path, None, "type")


def test_a_file_without_attributes_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    geopandas.GeoDataFrame(geometry=BOXES, crs="EPSG:32631").to_file(path)
    with pytest.raises(VectorError, match=r"choose one of none: it has no attributes"):
        read_attributed(path, None, "kind")


def test_heights_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    lifted = [shapely.force_3d(BOXES[0], 7.0)]
    geopandas.GeoDataFrame(geometry=lifted, crs="EPSG:32631").to_file(path)
    (found,) = read_polygons(path, CRS.from_epsg(32631))
    assert not shapely.has_z(found)


def test_empty_polygons_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    geopandas.GeoDataFrame(geometry=[shapely.Polygon(), BOXES[0]], crs="EPSG:32631").to_file(path)
    assert len(read_polygons(path, None)) == 1
