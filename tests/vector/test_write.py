from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS

from geoseg.classes import ClassScheme
from geoseg.errors import OutputError, VectorError
from geoseg.vector import (
    FORMATS,
    Layer,
    Regions,
    join_parts,
    polygonize,
    polygonize_part,
    read_features,
    read_vector_fingerprint,
    write_layers,
    write_polygons,
)
from geoseg.vector import features as features_module
from tests.fixtures.vectors import EXACT, read_polygons

UTM = CRS.from_epsg(32632)
TRANSFORM = Affine(0.5, 0.0, 500_000.0, 0.0, -0.5, 5_400_000.0)
SITE = 'LOCAL_CS["site",UNIT["metre",1]]'
PLACE = {"height": 100, "width": 100, "transform": TRANSFORM}
CLASSES = ClassScheme.from_names(["Straße", "Dach", "grass", "屋根" * 20])
Blobs = Callable[..., tuple[np.ndarray, np.ndarray]]

every_format = pytest.mark.parametrize("suffix", EXACT)


def regions_of(
    labels: np.ndarray, confidence: np.ndarray | None, rows: int = 16
) -> Iterator[Regions]:
    parts = [
        polygonize_part(
            labels[row : row + rows],
            None if confidence is None else confidence[row : row + rows],
            row,
            0,
        )
        for row in range(0, labels.shape[0], rows)
    ]
    return join_parts(parts, *labels.shape)


def write(
    path: Path, labels: np.ndarray, confidence: np.ndarray | None = None, *, crs: CRS | None = UTM
) -> int:
    regions = regions_of(labels, confidence)
    return write_polygons(regions, {path: "f00d"}, **PLACE, crs=crs, classes=CLASSES)


def rows_of(path: Path, layer: str | None = None) -> set[tuple[object, ...]]:
    frame = read_polygons(path, layer)
    assert frame.columns.tolist() == ["class_id", "class", "area_m2", "confidence", "geometry"]
    assert frame.geometry.is_valid.all()
    columns = (frame["class_id"], frame["class"], frame["area_m2"], frame["confidence"].round(9))
    outlines = [shapely.to_wkb(shapely.normalize(geometry)) for geometry in frame.geometry]
    return set(zip(outlines, *columns, strict=True))


@every_format
def test_a_file_holds_every_polygon_with_its_attributes(
    suffix: str, tmp_path: Path, make_blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features_module, "_ROWS", 20)  # so that it is written in several tables
    labels, confidence = make_blobs(60, 70)
    path = tmp_path / f"town.{suffix}"
    count = write(path, labels, confidence)
    expected = {
        (
            shapely.to_wkb(shapely.normalize(each.geometry)),
            each.class_id,
            CLASSES.names[each.class_id],
            each.pixels * 0.25,
            round(each.confidence or 0.0, 9),
        )
        for each in polygonize(labels, TRANSFORM, confidence=confidence)
    }
    assert rows_of(path) == expected
    assert count == len(expected)
    assert suffix == "parquet" or pyogrio.list_layers(path)[0][0] == "town"
    assert read_polygons(path).crs == "EPSG:32632"
    assert read_vector_fingerprint(path) == "f00d"


@every_format
def test_reading_leaves_no_file_behind(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"town.{suffix}"
    write(path, np.zeros((4, 4), np.uint8))
    before = sorted(tmp_path.iterdir())
    read_vector_fingerprint(path)
    read_polygons(path)
    assert sorted(tmp_path.iterdir()) == before


@every_format
def test_areas_are_null_without_crs_and_confidence_where_none_was_computed(
    suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"town.{suffix}"
    write(path, np.zeros((4, 4), np.uint8), crs=None)
    frame = read_polygons(path)
    assert frame["area_m2"].isna().all()
    assert frame["confidence"].isna().all()
    assert frame.crs is None


@every_format
def test_no_polygons_make_a_valid_empty_file(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"town.{suffix}"
    assert write(path, np.full((4, 4), 255, np.uint8)) == 0
    frame = read_polygons(path)
    assert (len(frame), frame.crs) == (0, "EPSG:32632")
    assert frame.columns.tolist()[:-1] == ["class_id", "class", "area_m2", "confidence"]
    assert read_vector_fingerprint(path) == "f00d"


@every_format
def test_an_existing_file_is_replaced_with_all_that_belonged_to_it(
    suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"town.{suffix}"
    write(path, np.zeros((4, 4), np.uint8))
    stale = [companion for companion in FORMATS[suffix].companions(path) if not companion.exists()]
    for companion in stale:
        companion.write_text("of the old file")
    write(path, np.array([[0, 1]], np.uint8), crs=None)
    frame = read_polygons(path)
    assert (len(frame), frame.crs) == (2, None)
    assert not any(companion.exists() for companion in stale)


@every_format
def test_a_failure_leaves_the_old_file_and_nothing_else(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"town.{suffix}"
    write(path, np.zeros((4, 4), np.uint8))
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(VectorError, match=r"class 9 in layer 'town', where 4 classes are named"):
        write(path, np.full((4, 4), 9, np.uint8))
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_several_formats_are_written_in_one_go(tmp_path: Path, make_blobs: Blobs) -> None:
    labels, confidence = make_blobs(30, 40)
    outputs = {tmp_path / f"town.{suffix}": suffix for suffix in EXACT}
    write_polygons(regions_of(labels, confidence), outputs, **PLACE, crs=UTM, classes=CLASSES)
    first, *others = outputs
    assert all(rows_of(path) == rows_of(first) for path in others)
    assert [read_vector_fingerprint(path) for path in outputs] == EXACT


def test_a_geopackage_holds_several_layers_each_with_a_spatial_index(tmp_path: Path) -> None:
    path = tmp_path / "towns.gpkg"
    labels = {"east": np.array([[0, 1]], np.uint8), "west": np.zeros((3, 3), np.uint8)}
    layers = [
        Layer(name, regions_of(each, None), 4, 4, TRANSFORM, UTM, CLASSES)
        for name, each in labels.items()
    ]
    assert write_layers(layers, {path: "f00d"}) == [2, 1]
    assert pyogrio.list_layers(path)[:, 0].tolist() == ["east", "west", "layer_styles"]
    for name in labels:
        assert pyogrio.read_info(path, layer=name)["capabilities"]["fast_spatial_filter"]
        assert rows_of(path, name)
    assert (
        len(
            pyogrio.read_dataframe(
                path, layer="east", bbox=(500_000.6, 5_399_999.6, 500_000.9, 5_399_999.9)
            )
        )
        == 1
    )


def test_the_spatial_index_knows_rows_that_came_in_later_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features_module, "_ROWS", 1)
    labels = np.arange(200, dtype=np.uint8)[:, None] % 3
    path = tmp_path / "town.gpkg"
    write(path, labels)
    lowest = (500_000.1, 5_399_900.1, 500_000.4, 5_399_900.4)
    assert len(pyogrio.read_dataframe(path, bbox=lowest)) == 1


def test_huge_areas_fit_into_a_shapefile(tmp_path: Path) -> None:
    path = tmp_path / "town.shp"
    regions = regions_of(np.zeros((4, 4), np.uint8), None)
    write_polygons(
        regions,
        {path: ""},
        height=4,
        width=4,
        transform=Affine.scale(123_456.7),
        crs=CRS.from_wkt(SITE),
        classes=CLASSES,
    )
    np.testing.assert_allclose(
        pyogrio.read_dataframe(path)["area_m2"], 16 * 123_456.7**2, rtol=1e-12
    )


@every_format
def test_a_folder_in_the_way_is_refused(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"town.{suffix}").mkdir()
    with pytest.raises(OutputError, match=r"is a folder; give the name of a polygon file"):
        write(tmp_path / f"town.{suffix}", np.zeros((4, 4), np.uint8))


@every_format
def test_a_place_that_cannot_be_written_is_named_in_one_line(suffix: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / f"town.{suffix}"
    with pytest.raises(
        OutputError,
        match=r"town.*: cannot be written \(.+file is a file, not a folder\); choose another --out",
    ) as caught:
        write(path, np.zeros((4, 4), np.uint8))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["gpkg", "shp", "geojson"])
def test_errors_of_gdal_are_reported_in_one_line(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise pyogrio.errors.DataSourceError("sqlite3_exec failed:\nno such table")

    monkeypatch.setattr(pyogrio.raw, "write_arrow", fail)
    with pytest.raises(
        OutputError,
        match=r"town.*: cannot be written \(sqlite3_exec failed: no such table",
    ):
        write(tmp_path / f"town.{suffix}", np.zeros((4, 4), np.uint8))
    assert not list(tmp_path.iterdir())


def test_what_belongs_to_a_file_is_in_place_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    replace = os.replace

    def noted(source: Path, target: Path) -> None:
        order.append(Path(target).suffix)
        replace(source, target)

    monkeypatch.setattr("geoseg.files.os.replace", noted)
    write(tmp_path / "town.shp", np.zeros((4, 4), np.uint8))
    assert order[-1] == ".shp"
    assert len(order) == 1 + 8, "what is to be moved is written down first"


def test_areas_are_measured_by_the_size_and_place_of_the_raster(tmp_path: Path) -> None:
    # World mercator is true to scale at the equator, and no longer where the larger raster ends.
    place = {"transform": Affine(1000.0, 0.0, 0.0, 0.0, 1000.0, 0.0), "crs": CRS.from_epsg(3395)}
    found = []
    for height, width in ((10, 10), (10, 9000), (9000, 10)):
        path = tmp_path / f"{height}_{width}.gpkg"
        regions = [Regions(np.array([shapely.box(0, 0, 1, 1)]), *np.ones((2, 1), np.uint8), None)]
        write_polygons(regions, {path: "k"}, height=height, width=width, classes=CLASSES, **place)
        found.append(pyogrio.read_dataframe(path)["area_m2"][0] == 1e6)
    assert found == [True, True, False]


@every_format
@pytest.mark.parametrize("sign", list("!;|<>\"\\?*:'&#%[]\t"))
def test_any_sign_may_be_in_the_name_of_a_file_or_folder(
    sign: str, suffix: str, tmp_path: Path
) -> None:
    labels = np.array([[0, 1], [1, 1]], np.uint8)
    for path in (tmp_path / f"a{sign}b.{suffix}", tmp_path / f"in{sign}side" / f"a.{suffix}"):
        assert write(path, labels) == 2
        assert read_vector_fingerprint(path) == "f00d"
        assert suffix == "parquet" or read_features(path).count == 2
        kept = {path, *FORMATS[suffix].companions(path)}
        assert {entry for entry in path.parent.iterdir() if entry.is_file()} <= kept
