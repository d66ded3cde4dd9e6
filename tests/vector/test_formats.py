from __future__ import annotations

import json
import struct
import threading
import warnings
from pathlib import Path

import geopandas
import numpy as np
import pyarrow.parquet as pq
import pyogrio
import pyproj
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS

from geoseg import ogr
from geoseg.classes import ClassScheme
from geoseg.errors import ConfigError, OutputError, VectorError
from geoseg.vector import FORMATS, Layer, Regions, format_of, read_vector_fingerprint
from geoseg.vector.features import feature_tables
from geoseg.vector.formats import GeoPackage, Shapefile
from tests.fixtures.vectors import EXACT, ON_WGS84, read_polygons

UTM = CRS.from_epsg(32632)
GRID = Affine(0.5, 0.0, 500_000.0, 0.0, -0.5, 5_400_000.0)
CLASSES = ClassScheme.from_names(["Straße", "Dach", "grass", "屋根" * 20])

every_format = pytest.mark.parametrize("suffix", FORMATS)
every_exact_format = pytest.mark.parametrize("suffix", EXACT)
every_format_on_wgs84 = pytest.mark.parametrize("suffix", ON_WGS84)


def squares(count: int, holes: int = 0) -> Regions:
    """Squares of 4 x 4 pixels in classes 0 and 1 by turns; the first have a hole."""
    left = 5 * np.arange(count)
    geometry = shapely.box(left, 0, left + 4, 4)
    inner = shapely.box(left + 1, 1, left + 2, 2)
    geometry[:holes] = shapely.difference(geometry, inner)[:holes]
    class_id = (np.arange(count) % 2).astype(np.uint8)
    return Regions(geometry, class_id, np.full(count, 16), np.full(count, 16 * 51))


def layer(
    *regions: Regions,
    name: str = "town",
    classes: ClassScheme = CLASSES,
    crs: CRS | None = UTM,
    attributes: tuple[str, ...] = (),
) -> Layer:
    return Layer(name, iter(regions), 10, 10, GRID, crs, classes, attributes=attributes)


def write(path: Path, rows: Layer, fingerprint: str = "f00d") -> None:
    file = format_of(path)(path, fingerprint)
    for table in feature_tables(rows):
        file.write(rows, table)
    file.finish()


@every_format
def test_tables_follow_one_another_and_the_fingerprint_is_kept(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"town.{suffix}"
    file = format_of(path)(path, "f00d")
    rows = layer()
    for number in (2, 3):
        (table,) = feature_tables(layer(squares(number)))
        file.write(rows, table)
    file.finish()
    frame = read_polygons(path)
    expected = [0, 1, 0, 1, 0]
    if suffix == "fgb":  # its index puts what is near together
        frame, expected = frame.sort_values("class_id"), sorted(expected)
    assert frame["class_id"].tolist() == expected
    assert frame["class"].tolist() == [CLASSES.names[number] for number in expected]
    assert frame["confidence"].tolist() == [0.2] * 5
    assert frame["area_m2"].tolist() == [4.0] * 5
    assert frame.crs == ("EPSG:4326" if suffix in ON_WGS84 else "EPSG:32632")
    assert read_vector_fingerprint(path) == "f00d"


@every_exact_format
def test_a_missing_crs_gives_no_warning(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"town.{suffix}"
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        write(path, layer(squares(1), crs=None))
    assert read_polygons(path).crs is None


@every_format
@pytest.mark.parametrize(
    "stem", ['it\'s "ours" ö', "v1.2_polygons", "gpkg_tiles", "sqlite_tiles", "1 2", "-x", "(1) x"]
)
def test_any_stem_will_do(suffix: str, stem: str, tmp_path: Path) -> None:
    path = tmp_path / f"{stem}.{suffix}"
    write(path, layer(squares(1), name=stem))
    assert suffix == "parquet" or pyogrio.list_layers(path)[0][0].removeprefix("_") == stem
    assert len(read_polygons(path)) == 1
    assert read_vector_fingerprint(path) == "f00d"


@pytest.mark.parametrize(
    ("name", "kept"), [("town", True), ("Gpkg", False), ("SQLITE_x", False), ("a-x", True)]
)
def test_a_reserved_layer_name_gets_an_underscore(tmp_path: Path, name: str, kept: bool) -> None:
    package = GeoPackage(tmp_path / "a.gpkg", "")
    assert package.layer_name(layer(name=name)) == (name if kept else f"_{name}")


def test_geopackages_hold_several_layers_and_shapefiles_one(tmp_path: Path) -> None:
    assert format_of(tmp_path / "a.gpkg").several_layers
    assert not format_of(tmp_path / "a.shp").several_layers
    path = tmp_path / "towns.gpkg"
    file = GeoPackage(path, "k")
    for name in ("east", "west"):
        (table,) = feature_tables(layer(squares(1)))
        file.write(layer(name=name), table)
    file.finish()
    assert pyogrio.list_layers(path)[:2, 0].tolist() == ["east", "west"]


def test_the_companions_of_a_geopackage_are_the_logs_of_sqlite(tmp_path: Path) -> None:
    names = [path.name for path in GeoPackage.companions(tmp_path / "a.gpkg")]
    assert names == ["a.gpkg-wal", "a.gpkg-shm", "a.gpkg-journal"]


def test_the_companions_of_a_shapefile_are_its_parts_and_indexes(tmp_path: Path) -> None:
    names = {path.name for path in Shapefile.companions(tmp_path / "a.b.shp")}
    suffixes = ["shx", "dbf", "prj", "cpg", "qix", "qpj", "sbn", "sbx", "idm", "ind", "geoseg.json"]
    assert names == {f"a.b.{suffix}" for suffix in suffixes}


def test_a_shapefile_says_its_encoding_and_its_crs(tmp_path: Path) -> None:
    write(tmp_path / "town.shp", layer(squares(1)))
    names = {file.name for file in tmp_path.iterdir()}
    own = ["shp", "shx", "dbf", "prj", "cpg"]
    assert names == {f"town.{suffix}" for suffix in [*own, "geoseg.json", "qml", "sld"]}
    assert (tmp_path / "town.cpg").read_text() == "UTF-8"
    assert "UTM" in (tmp_path / "town.prj").read_text()


@pytest.mark.parametrize(
    ("bytes_of_name", "attributes"),
    [(2, ()), (80, ()), (82, ("perimeter_m", "color")), (200, ())],
)
def test_the_size_of_a_shapefile_is_known_before_it_is_written(
    tmp_path: Path, bytes_of_name: int, attributes: tuple[str, ...]
) -> None:
    classes = ClassScheme.from_names(["ä" * (bytes_of_name // 2), "b"])
    file = Shapefile(tmp_path / "town.shp", "")
    rows = layer(squares(600, holes=70), classes=classes, attributes=attributes)
    for table in feature_tables(rows):
        file.write(rows, table)
    file.finish()
    assert (tmp_path / "town.shp").stat().st_size == file._shapes
    content = (tmp_path / "town.dbf").read_bytes()
    # dBASE III: rows, bytes of the header, bytes of a row.
    count, header, width = struct.unpack_from("<IHH", content, 4)
    assert count * width + header + 1 == len(content) <= file._rows
    assert width <= (file._rows - 1000) / count <= width + 12 + 60 * len(attributes)
    assert header <= 1000


@pytest.mark.parametrize(("short", "written"), [(0, True), (1, False)])
@pytest.mark.parametrize("part", ["shp", "dbf"])
def test_a_shapefile_beyond_its_limit_is_refused_before_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, short: int, written: bool
) -> None:
    path = tmp_path / "town.shp"
    # Squares with many holes make .shp the larger part, plain ones .dbf.
    rows = layer(squares(100, holes=100 if part == "shp" else 0))
    (table,) = feature_tables(rows)
    probe = Shapefile(tmp_path / "probe.shp", "")
    probe.write(rows, table)
    probe.finish()
    assert (probe._shapes > probe._rows) == (part == "shp")
    monkeypatch.setattr(Shapefile, "size_limit", max(probe._shapes, probe._rows) - short)
    if written:
        write(path, rows)
        return
    said = r"town.shp would pass the .* GB that a shapefile can have; write a GeoPackage"
    with pytest.raises(OutputError, match=said):
        Shapefile(path, "").write(rows, table)
    assert not path.exists()


def test_shapefiles_end_at_2_gb() -> None:
    assert Shapefile.size_limit == 2_147_483_647


@pytest.mark.parametrize(("letters", "fits"), [(127, True), (128, False)])
def test_a_class_name_that_a_shapefile_would_cut_is_refused(
    tmp_path: Path, letters: int, fits: bool
) -> None:
    rows = layer(squares(1), classes=ClassScheme.from_names(["ä" * letters]))
    if fits:
        write(tmp_path / "town.shp", rows)
        assert pyogrio.read_dataframe(tmp_path / "town.shp")["class"].tolist() == ["ä" * letters]
        return
    said = r"has 256 bytes, a shapefile holds 254; shorten it or write a GeoPackage"
    with pytest.raises(VectorError, match=said):
        write(tmp_path / "town.shp", rows)


@pytest.mark.parametrize("suffix", [".kml", ".SHP", ""])
def test_an_unknown_suffix_is_refused_with_the_known_ones(suffix: str, tmp_path: Path) -> None:
    said = rf"suffix '{suffix}' names no vector format .* use .gpkg, .shp, .* or .geojsonl"
    with pytest.raises(ConfigError, match=said):
        format_of(tmp_path / f"town{suffix}")


@pytest.mark.parametrize(
    "name", ["foreign.gpkg", "broken.gpkg", "missing.gpkg", "foreign.shp", "picture.png"]
)
def test_files_of_others_have_no_fingerprint(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name.startswith("foreign"):
        square = shapely.to_wkb(np.array([shapely.box(0, 0, 1, 1)]))
        pyogrio.raw.write(
            path, square, [np.arange(1)], ["a"], geometry_type="Polygon", crs="EPSG:32632"
        )
    elif name != "missing.gpkg":
        path.write_bytes(b"no file of this kind")
    assert read_vector_fingerprint(path) is None


@pytest.mark.parametrize("text", ["[", "[1]", "{}"])
def test_a_sidecar_of_another_kind_is_not_a_fingerprint(tmp_path: Path, text: str) -> None:
    (tmp_path / "town.geoseg.json").write_text(text)
    assert read_vector_fingerprint(tmp_path / "town.shp") is None


def test_a_shapefile_of_other_parts_has_no_fingerprint(tmp_path: Path) -> None:
    """Such as one that the user has saved over geoseg's, or that has lost its table."""
    path = tmp_path / "town.shp"
    write(path, layer(squares(2)))
    assert Shapefile.read_fingerprint(path) == "f00d"
    table = path.with_suffix(".dbf")
    content = table.read_bytes()
    table.write_bytes(content + b" ")
    assert Shapefile.read_fingerprint(path) is None
    table.unlink()
    assert Shapefile.read_fingerprint(path) is None
    table.write_bytes(content)
    assert Shapefile.read_fingerprint(path) == "f00d"


@every_format
def test_attributes_on_demand_come_last(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"town.{suffix}"
    write(path, layer(squares(2, holes=1), attributes=("color", "perimeter_m")))
    frame = read_polygons(path)
    perimeter = "perimeter" if suffix == "shp" else "perimeter_m"  # of ten letters at most
    assert frame.columns.tolist()[:-1] == [
        *("class_id", "class", "area_m2", "confidence"),
        *(perimeter, "color"),
    ]
    assert sorted(frame[perimeter].tolist()) == [8.0, 10.0]
    assert frame["color"].str.match("#[0-9a-f]{6}").all()


@every_format_on_wgs84
def test_json_is_on_wgs84_to_a_tenth_of_a_millimetre_with_shells_counterclockwise(
    suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"town.{suffix}"
    write(path, layer(squares(3, holes=1)))
    frame = read_polygons(path)
    assert [shapely.is_ccw(shape.exterior) for shape in frame.geometry] == [True] * 3
    expected = shapely.area(squares(3, holes=1).geometry) * 0.25
    assert frame.to_crs("EPSG:32632").area.to_numpy() == pytest.approx(expected, abs=1e-3)
    assert '"crs"' not in path.read_text()


def test_geojsonl_is_a_feature_a_line(tmp_path: Path) -> None:
    write(tmp_path / "town.geojsonl", layer(squares(3)))
    lines = (tmp_path / "town.geojsonl").read_text().splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["Feature"] * 3


@every_format_on_wgs84
def test_polygons_without_crs_have_no_longitude_and_are_refused(
    suffix: str, tmp_path: Path
) -> None:
    with pytest.raises(
        VectorError,
        match=r"has no coordinate system, and \S+ holds longitude and latitude; give one",
    ):
        write(tmp_path / f"town.{suffix}", layer(squares(1), crs=None))


@every_exact_format
def test_a_number_that_is_not_known_is_none(suffix: str, tmp_path: Path) -> None:
    write(tmp_path / f"town.{suffix}", layer(squares(2), crs=None))
    assert read_polygons(tmp_path / f"town.{suffix}")["area_m2"].isna().all()


def test_a_failure_of_the_writing_thread_is_raised_and_an_abandoned_file_ends(
    tmp_path: Path,
) -> None:
    rows = layer()
    (table,) = feature_tables(layer(squares(2)))
    file = GeoPackage(tmp_path / "missing/town.gpkg", "k")

    def write_on() -> None:
        file.write(rows, table)
        file.finish()

    with pytest.raises(ogr.DataSourceError):
        write_on()
    file.abandon()
    other = GeoPackage(tmp_path / "town.gpkg", "k")
    other.write(rows, table)
    other.abandon()
    assert not [each for each in threading.enumerate() if each.name.startswith("geoseg-vectors")]


def test_geoparquet_says_where_its_rows_lie(tmp_path: Path) -> None:
    path = tmp_path / "town.parquet"
    file = format_of(path)(path, "k")
    for count in (2, 3):
        (table,) = feature_tables(layer(squares(count)))
        file.write(layer(), table)
    file.finish()
    stored = pq.ParquetFile(path)
    geo = json.loads(stored.metadata.metadata[b"geo"])
    column = geo["columns"][geo["primary_column"]]
    assert (geo["version"], column["encoding"], column["geometry_types"]) == (
        *("1.1.0", "WKB"),
        ["Polygon"],
    )
    assert column["bbox"] == geopandas.read_parquet(path).total_bounds.tolist()
    assert pyproj.CRS.from_json_dict(column["crs"]) == pyproj.CRS.from_epsg(32632)
    assert column["covering"]["bbox"]["xmax"] == ["bbox", "xmax"]
    assert stored.num_row_groups == 2
    sides = [stored.metadata.row_group(0).column(index) for index in range(5, 9)]
    assert [side.path_in_schema for side in sides] == [
        f"bbox.{side}" for side in ("xmin", "ymin", "xmax", "ymax")
    ]
    assert sides[2].statistics.max == 500_000 + 0.5 * 9
    near = geopandas.read_parquet(path, bbox=(500_000, 5_399_990, 500_001, 5_400_000))
    assert len(near) == 2


def test_a_missing_package_is_named_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("geoseg.vector.vector_file.find_spec", lambda _: None)
    assert format_of(tmp_path / "a.gpkg") is GeoPackage
    with pytest.raises(
        ConfigError, match=r"parquet needs pyarrow.* pip install 'geoseg\[parquet\]'"
    ):
        format_of(tmp_path / "a.parquet")
