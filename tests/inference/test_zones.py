from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine

import geoseg
from geoseg.errors import ConfigError
from geoseg.inference.zone_file import check_zones

Make = Callable[..., Path]
DEGREES = Affine(1e-4, 0.0, 9.0, 0.0, -2e-4, 60.0)


def rows_of(path: Path) -> dict[tuple[str, str], dict[str, str]]:
    return {(row["zone"], row["class"]): row for row in csv.DictReader(path.open())}


def told(zones: list[dict[str, Any]]) -> dict[tuple[str, str], tuple[float, float]]:
    """Pixels and square metres of each class of each zone, as a report tells them."""
    return {
        (str(zone["zone"]), name): (zone["pixels"][name], area)
        for zone in zones
        for name, area in zone["areas_m2"].items()
    }


@pytest.mark.parametrize(("crs", "transform"), [("EPSG:32632", None), ("EPSG:4326", DEGREES)])
def test_a_zone_has_what_its_polygon_cuts_out_of_the_polygons_of_each_class(
    make_raster: Make, model_file: Path, tmp_path: Path, crs: str, transform: Affine | None
) -> None:
    place = {"crs": crs} if transform is None else {"crs": crs, "transform": transform}
    coarse = np.random.default_rng(0).integers(1, 255, (3, 40, 36))
    data = np.kron(coarse, np.ones((1, 16, 16))).astype(np.uint8)
    image = make_raster("a.tif", data=data, **place)
    pixels = transform or Affine(0.5, 0.0, 500_000.0, 0.0, -0.5, 5_400_000.0)
    shapes = [
        shapely.Polygon([(10.3, 7.7), (300.1, 40.2), (200.5, 600.9)]),
        shapely.box(550, 600, 900, 900),  # reaches beyond the raster
        shapely.box(1000, 1000, 1100, 1100),  # lies beside it
    ]
    zones = shapely.transform(np.array(shapes), lambda p: np.column_stack(pixels @ p.T))
    file = tmp_path / "zones.gpkg"
    geopandas.GeoDataFrame(geometry=zones, crs=crs).to_file(file)
    out, run = tmp_path / "out", {"preview": False, "max_output_pixels": 2**18}
    report = geoseg.predict(image, model_file, out, zones=file, **run)
    assert report.exit_code == 0
    assert (
        f"zones: {file}: 1 of 3 polygons lie on none of the 1 sheet" in report.data["warnings"][-1]
    )
    found = rows_of(out / "zones.csv")
    assert told(report.data["zones"]["seen"]) == told(report.data["inputs"][0]["zones"])
    assert told(report.data["zones"]["seen"]) == {
        key: (float(row["pixels"]), float(row["m2"])) for key, row in found.items()
    }
    named = (report.data["zones"]["path"], report.data["zones"]["polygons"])
    assert named == (str(file), 3)
    assert {zone for zone, _ in found} == {"1", "2"}
    polygons = pyogrio.read_dataframe(out / "a_polygons.gpkg")
    in_pixels = shapely.transform(
        polygons.geometry.to_numpy(), lambda p: np.column_stack(~pixels @ p.T)
    )
    for number in (1, 2):
        inside = shapely.area(shapely.intersection(in_pixels, shapes[number - 1]))
        for name in set(polygons["class"]):
            mine = (polygons["class"] == name).to_numpy()
            row = found[str(number), name]
            assert float(row["pixels"]) == pytest.approx(inside[mine].sum(), rel=1e-5, abs=1e-3)
            if transform is None:
                assert float(row["m2"]) == pytest.approx(0.25 * inside[mine].sum(), abs=1e-3)
    shares = [float(row["share"]) for (zone, _), row in found.items() if zone == "1"]
    assert sum(shares) == pytest.approx(1, abs=1e-5)


@pytest.mark.filterwarnings("ignore:'crs' was not provided")
def test_zones_that_cannot_be_used_are_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"zones: .*none\.gpkg: no polygons that can be read"):
        check_zones(str(tmp_path / "none.gpkg"))
    box = geopandas.GeoSeries([shapely.box(0, 0, 1, 1)])
    for name, zones, message in (
        ("empty", box[:0].set_crs(4326), "empty.gpkg holds no polygon; draw some"),
        ("nowhere", box, "nowhere.gpkg has no coordinate system"),
        ("points", box.centroid.set_crs(4326), "holds 1 Point and no polygon"),
    ):
        zones.to_file(tmp_path / f"{name}.gpkg")
        with pytest.raises(ConfigError, match=message):
            check_zones(str(tmp_path / f"{name}.gpkg"))
    monkeypatch.setattr("geoseg.inference.zone_file.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"pip install 'geoseg\[zones\]'"):
        check_zones("zones.gpkg")


def test_zones_overlap_and_add_up_over_sheets_and_sheets_without_a_place_are_named(
    make_raster: Make, model_file: Path, tmp_path: Path
) -> None:
    for number, col in enumerate((0, 80)):
        place = Affine(0.5, 0.0, 500_000.0 + 0.5 * col, 0.0, -0.5, 5_400_000.0)
        make_raster(f"in/{number}.tif", seed=number, transform=place)
    make_raster("in/nowhere.tif", crs=None, transform=None)
    left, right, top = 500_010, 500_060, 5_400_000
    boxes = [shapely.box(left, top - 20, right, top), shapely.box(left, top - 10, left + 5, top)]
    zones = geopandas.GeoSeries(boxes, crs=32632).to_crs(4326)
    zones.to_file(tmp_path / "zones.geojson")
    options = {"preview": False, "vectors": "none", "zones": tmp_path / "zones.geojson"}
    report = geoseg.predict(tmp_path / "in", model_file, tmp_path / "out", **options)
    first, second, nowhere = report.data["inputs"]
    numbers = [[zone["zone"] for zone in each["zones"]] for each in (first, second, nowhere)]
    assert numbers == [[1, 2], [1], []]
    assert [line for line in report.data["warnings"] if "in no zone" in line] == [
        f"{tmp_path / 'in/nowhere.tif'}: is in no zone, as it has no coordinate system"
    ]
    sizes = [sum(zone["areas_m2"].values()) for zone in report.data["zones"]["seen"]]
    assert sizes == pytest.approx([50 * 20, 5 * 10], rel=1e-6)
    parts = [sum(each["zones"][0]["areas_m2"].values()) for each in (first, second)]
    assert parts == pytest.approx([30 * 20, 20 * 20], rel=1e-6)
    outside = zones.translate(5)
    outside.to_file(tmp_path / "outside.gpkg")
    again = geoseg.predict(
        tmp_path / "in",
        model_file,
        tmp_path / "out",
        **options | {"zones": tmp_path / "outside.gpkg"},
    )
    assert "2 of 2 polygons lie on none of the 3 sheets that are done: 1, 2" in " ".join(
        again.data["warnings"]
    )
    assert (tmp_path / "out/zones.csv").read_text() == "zone,class,pixels,m2,ha,share\n"
