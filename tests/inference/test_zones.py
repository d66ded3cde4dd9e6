from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

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
    zones = shapely.transform(np.array(shapes), lambda p: np.column_stack(pixels * p.T))
    file = tmp_path / "zones.gpkg"
    geopandas.GeoDataFrame(geometry=zones, crs=crs).to_file(file)
    out, run = tmp_path / "out", {"preview": False, "max_output_pixels": 2**18}
    assert geoseg.predict(image, model_file, out, zones=file, **run).exit_code == 0
    found = rows_of(out / "zones.csv")
    assert {zone for zone, _ in found} == {"1", "2"}
    polygons = pyogrio.read_dataframe(out / "a_polygons.gpkg")
    in_pixels = shapely.transform(
        polygons.geometry.to_numpy(), lambda p: np.column_stack(~pixels * p.T)
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


def test_zones_that_cannot_be_used_are_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"zones: .*none\.gpkg: no polygons that can be read"):
        check_zones(str(tmp_path / "none.gpkg"))
    monkeypatch.setattr("geoseg.inference.zone_file.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"pip install 'geoseg\[zones\]'"):
        check_zones("zones.gpkg")
