from __future__ import annotations

import re
import struct
import warnings
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS
from rasterio.transform import from_origin

from geoseg.errors import VectorError
from geoseg.vector import Grid, place
from geoseg.vector import read as read_module
from geoseg.vector.read import SUFFIXES, read_features, refuse_other_vectors

BOXES = [
    shapely.box(0, 0, 2, 1),
    shapely.MultiPolygon([shapely.box(5, 5, 6, 6), shapely.box(8, 8, 9, 9)]),
]


def save(path: Path, geometry: list[Any], crs: str | None = "EPSG:32631", **columns: Any) -> Path:
    geopandas.GeoDataFrame(columns, geometry=geometry, crs=crs).to_file(path)
    return path


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_polygons_come_one_by_one_as_they_are_in_the_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    options = {"layer_options": {"SPATIAL_INDEX": "NO"}} if suffix == ".fgb" else {}
    if suffix == ".json":
        options = {"driver": "GeoJSON"}
    frame = geopandas.GeoDataFrame({"n": [1, 2]}, geometry=BOXES, crs="EPSG:4326")
    frame.to_file(path, **options)
    found = read_features(path)
    assert shapely.equals(found.polygons, shapely.get_parts(BOXES)).all()
    assert found.feature.tolist() == [0, 1, 1]
    assert (found.count, found.values, found.dropped, found.warnings) == (2, None, {}, ())
    assert found.crs == "EPSG:4326"


def test_polygons_inside_collections_are_read_and_the_rest_is_counted(tmp_path: Path) -> None:
    line, point = shapely.LineString([(0, 0), (1, 1)]), shapely.Point(0, 0)
    inner = shapely.GeometryCollection([BOXES[1], point])
    geometry = [
        line,
        shapely.GeometryCollection([BOXES[0], line, inner]),
        None,
        shapely.Polygon(),
        BOXES[0],
        shapely.MultiPoint([(0, 0), (1, 1)]),
    ]
    found = read_features(save(tmp_path / "a.gpkg", geometry, kind=list("abcdef")), None, "kind")
    assert found.feature.tolist() == [1, 1, 1, 4]
    expected = [BOXES[0], *shapely.get_parts(BOXES[1]), BOXES[0]]
    assert shapely.equals(found.polygons, expected).all()
    assert found.dropped == {"LineString": 2, "Point": 3, "empty": 2}
    assert found.values == list("abcdef")


geometries = st.recursive(
    st.sampled_from(
        [BOXES[0], BOXES[1], shapely.Point(0, 0), shapely.LineString([(0, 0), (1, 1)])]
    ),
    lambda inner: st.lists(inner, min_size=1, max_size=3).map(shapely.GeometryCollection),
    max_leaves=8,
)


def leaves(geometry: Any) -> list[Any]:
    """The single geometries inside another, in their order, by a plain recursion."""
    if not hasattr(geometry, "geoms"):
        return [geometry]
    return [leaf for part in geometry.geoms for leaf in leaves(part)]


@given(st.lists(geometries, max_size=6))
def test_every_part_of_nested_collections_is_either_read_or_counted(found: list[Any]) -> None:
    parts = [(owner, leaf) for owner, item in enumerate(found) for leaf in leaves(item)]
    areas = [(owner, leaf) for owner, leaf in parts if leaf.geom_type == "Polygon"]
    encoded = np.array([shapely.to_wkb(item) for item in found], object)
    if found and not areas:
        with pytest.raises(VectorError, match="and no polygon; give polygons"):
            read_module._polygons(Path("a"), encoded)
        return
    polygons, feature, dropped = read_module._polygons(Path("a"), encoded)
    assert feature.tolist() == [owner for owner, _ in areas]
    assert shapely.equals(polygons, np.array([leaf for _, leaf in areas], object)).all()
    assert sum(dropped.values()) == len(parts) - len(areas)


def test_geometries_of_unknown_types_are_counted() -> None:
    tin = struct.pack("<BII", 1, 16, 0)
    encoded = np.array([tin, shapely.to_wkb(BOXES[0]), None], object)
    assert read_module._polygons(Path("a"), encoded)[2] == {"unreadable": 1, "empty": 1}


def test_features_without_any_polygon_are_refused_and_no_feature_is_not(tmp_path: Path) -> None:
    path = save(tmp_path / "a.geojson", [shapely.Point(0, 0)], "EPSG:4326")
    with pytest.raises(VectorError, match="holds 1 Point and no polygon; give polygons"):
        read_features(path)
    path.write_text('{"type": "FeatureCollection", "features": []}')
    for attribute in (None, "kind"):
        assert (read_features(path, None, attribute).count, len(read_features(path).polygons)) == (
            0,
            0,
        )
    empty = geopandas.GeoDataFrame({"kind": []}, geometry=[], crs="EPSG:32631")
    empty.to_file(tmp_path / "b.gpkg")
    empty.to_file(tmp_path / "b.shp")
    for name in ("b.gpkg", "b.shp"):
        assert read_features(tmp_path / name, None, "kind").count == 0


def test_files_that_cannot_be_read_say_what_to_give(tmp_path: Path) -> None:
    (tmp_path / "text.gpkg").write_text("text")
    (tmp_path / "empty.json").write_text("")
    (tmp_path / "other.json").write_text("{}")
    for name in ("nothing.gpkg", "text.gpkg", "empty.json", "other.json"):
        message = rf"{name}: no polygons that can be read .*; give GeoPackage or GeoJSON$"
        with pytest.raises(VectorError, match=message):
            read_features(tmp_path / name)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_coordinates_that_are_no_numbers_are_refused(tmp_path: Path, number: float) -> None:
    with np.errstate(invalid="ignore"):
        bad = shapely.Polygon([(0, 0), (1, number), (1, 1)])
    encoded = np.array([shapely.to_wkb(shape) for shape in (BOXES[1], bad)], object)
    with pytest.raises(VectorError, match="a: feature 2 has a coordinate that is not a finite"):
        read_module._polygons(Path("a"), encoded)


def test_values_of_an_attribute_are_of_all_features(tmp_path: Path) -> None:
    path = save(tmp_path / "a.gpkg", BOXES, kind=["roof", None], n=[1, 2])
    assert read_features(path, None, "kind").values == ["roof", None]
    assert read_features(path, None, "n").values == [1, 2]
    with pytest.raises(VectorError, match=r"has no attribute 'type'; choose one of kind, n$"):
        read_features(path, None, "type")
    path = save(tmp_path / "b.geojson", BOXES, **{"a\nb": [1, 2]})
    with pytest.raises(VectorError, match=r"has no attribute 'type'; choose one of a b$"):
        read_features(path, None, "type")
    with pytest.raises(VectorError, match=r"choose one of none: it has no attributes"):
        read_features(save(tmp_path / "b.gpkg", BOXES), None, "kind")


def test_one_of_several_layers_is_named_or_all_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    for layer, geometry in (("roofs", BOXES), ("roads", BOXES[:1])):
        geopandas.GeoDataFrame(geometry=geometry, crs="EPSG:32631").to_file(path, layer=layer)
    with pytest.raises(
        VectorError,
        match=r"a.gpkg: holds 2 layers \(roofs, roads\); name one \(--layer NAME, --aoi-layer",
    ):
        read_features(path)
    assert [read_features(path, layer).count for layer in ("roofs", "roads")] == [2, 1]
    with pytest.raises(VectorError, match=r"has no layer 'Roofs'; choose one of roofs, roads$"):
        read_features(path, "Roofs")


def test_a_table_without_geometries_is_no_layer(tmp_path: Path) -> None:
    path = save(tmp_path / "a.gpkg", BOXES)
    pyogrio.write_dataframe(
        geopandas.GeoDataFrame({"styleName": ["red"]}).drop(columns="geometry", errors="ignore"),
        path,
        layer="layer_styles",
    )
    assert read_features(path).count == 2
    with pytest.raises(VectorError, match=r"has no layer 'layer_styles'; choose one of a$"):
        read_features(path, "layer_styles")


def test_what_the_reading_library_warns_of_is_kept_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "a.gpkg", BOXES)
    read = pyogrio.raw.read

    def warn(*given: Any, **options: Any) -> Any:
        warnings.warn("a ring\n is not closed", RuntimeWarning, stacklevel=1)
        return read(*given, **options)

    monkeypatch.setattr(pyogrio.raw, "read", warn)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_features(path).warnings == (f"{path}: a ring is not closed",)


@pytest.mark.parametrize("suffix", [".zip", ".kml", ".parquet", ".pbf", ".GML", ".gdb", ".csv"])
def test_other_formats_say_what_to_do_with_them(suffix: str) -> None:
    advice = rf"^labels/a{suffix}: {suffix} is not read; [^{{]*(unpack it|-f GPKG labels.gpkg a)"
    with pytest.raises(VectorError, match=advice):
        refuse_other_vectors(Path(f"labels/a{suffix}"))
    for name in ("a.gpkg", "a.tif", "a.txt", "a"):
        refuse_other_vectors(Path(name))


def test_heights_are_left_out(tmp_path: Path) -> None:
    (found,) = read_features(save(tmp_path / "a.gpkg", [shapely.force_3d(BOXES[0], 7.0)])).polygons
    assert not shapely.has_z(found)


@pytest.mark.parametrize("suffix", [".gpkg", ".shp"])
@pytest.mark.parametrize("name", ["a!b", "a;b", "a\tb", "a|b", "a[1]", "a.zip!b", "a;"])
def test_files_with_signs_in_their_names_are_read(tmp_path: Path, name: str, suffix: str) -> None:
    save(tmp_path / f"plain{suffix}", BOXES)
    for folder in (tmp_path, tmp_path / "in!side"):
        folder.mkdir(exist_ok=True)
        for part in list(tmp_path.glob("plain.*")):
            (folder / f"{name}{part.suffix}").write_bytes(part.read_bytes())
        assert read_features(folder / f"{name}{suffix}").count == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("6378137.0", "99999999999999999999"),
        ("6378137.0", "6278137.0"),
        ("0.0174532925199433", "0"),
        ("SPHEROID", "SPHEROI\x00D"),
        ('UNIT["Degree",0.0174532925199433]', ""),
        ("298.257223563", "nan"),
    ],
)
def test_a_damaged_coordinate_system_is_refused_in_one_line_or_used(
    tmp_path: Path, old: str, new: str
) -> None:
    path = save(tmp_path / "a.shp", BOXES, "EPSG:4326")
    text = path.with_suffix(".prj")
    text.write_text(text.read_text().replace(old, new))
    for crs in ("EPSG:4326", "EPSG:32631"):
        try:
            place(read_features(path), Grid.of(from_origin(0, 9, 1, 1), CRS(crs), 9, 9))
        except VectorError as error:
            said = str(error)
            assert re.match(r"[^\n]*a\.shp: [^\n]*; (save|give|check|correct)[^\n]*$", said), said
