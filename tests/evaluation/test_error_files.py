from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
from pyogrio.errors import DataSourceError
from rasterio.features import shapes
from rio_cogeo import cog_validate

from geoseg import ogr
from geoseg.commands.evaluate import run
from geoseg.errors import ConfigError, DiskError, OutputError
from geoseg.evaluation import error_raster
from geoseg.metrics import erode

Make = Callable[..., Path]


def evaluated(pair: tuple[Path, Path], out: Path, **options: Any) -> dict[str, Any]:
    return run(*pair, "isprs", out, errors=True, **options).data["errors"]


@pytest.mark.parametrize("radius", [0, 3])
def test_the_raster_and_the_regions_are_those_of_a_plain_comparison(
    radius: int,
    pair: tuple[Path, Path],
    predicted: np.ndarray,
    reference: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(error_raster, "_STRIP_PIXELS", 700)
    data = evaluated(pair, tmp_path / "out", erode=radius)
    assert data["rasters"] == ["a_errors.tif"]
    kinds = data["kinds"]
    eroded = erode(reference, radius)
    names = ["impervious surfaces", "building", "low vegetation", "tree", "car", "clutter"]
    expected = np.where(eroded == predicted, 254, 255).astype(np.uint8)
    for value, kind in enumerate(kinds):
        actual = names.index(kind["reference"])
        guess = None if kind["predicted"] is None else names.index(kind["predicted"])
        found = predicted >= 254 if guess is None else predicted == guess
        expected[(eroded == actual) & found] = value
        assert np.count_nonzero(expected == value) == kind["pixels"]
    expected[eroded == 255] = 255
    path = tmp_path / "out/a_errors.tif"
    with rasterio.open(path) as file, rasterio.open(pair[1]) as given:
        np.testing.assert_array_equal(file.read(1), expected)
        assert (file.transform, file.crs) == (given.transform, given.crs)
        assert file.nodata == 255
        assert json.loads(file.tags()["GEOSEG_CLASSES"]) == [kind["kind"] for kind in kinds]
        regions = list(shapes(file.read(1), file.read(1) < 254, 4, file.transform))
    assert cog_validate(path, strict=True)[0]
    assert ">right<" in path.with_name("a_errors.tif.aux.xml").read_text()
    assert 'label="not scored"' in path.with_suffix(".qml").read_text()
    layer = geopandas.read_file(tmp_path / "out/errors.gpkg", layer="errors")
    assert len(layer) == data["regions"] == data["regions_listed"] == len(regions)
    assert sorted(layer.pixels, reverse=True) == layer.pixels.tolist()
    assert layer.area.to_numpy() == pytest.approx(layer.area_m2.to_numpy())
    assert layer.area.to_numpy() == pytest.approx(layer.pixels * 0.25)
    values = layer["class"].map({kind["kind"]: value for value, kind in enumerate(kinds)})
    drawn = rasterio.features.rasterize(
        zip(layer.geometry, values, strict=True),
        expected.shape,
        255,
        transform=layer_grid(path),
    )
    np.testing.assert_array_equal(drawn, np.where(expected < 254, expected, 255))
    assert set(layer.sheet) == {"a"}
    assert layer.confidence.isna().all()


def layer_grid(path: Path) -> Any:
    with rasterio.open(path) as file:
        return file.transform


def test_regions_have_the_confidence_beside_the_prediction_and_a_style(
    pair: tuple[Path, Path], make_raster: Make, tmp_path: Path
) -> None:
    evaluated(pair, tmp_path / "out")
    confidence = np.full((1, 64, 80), 51, np.uint8)
    with rasterio.open(pair[0]) as file:
        grid = {"crs": file.crs, "transform": file.transform}
    place = pair[0].with_name("a_confidence.tif").relative_to(tmp_path)
    make_raster(str(place), data=confidence, **grid)
    evaluated(pair, tmp_path / "out")
    layer = geopandas.read_file(tmp_path / "out/errors.gpkg", layer="errors")
    assert layer.confidence.to_numpy() == pytest.approx(0.2)
    assert {"class", "reference", "predicted", "area_m2"} <= set(layer.columns)
    with closing(sqlite3.connect(tmp_path / "out/errors.gpkg")) as file:
        ((name, qml, sld),) = file.execute(
            "SELECT f_table_name, styleQML, styleSLD FROM layer_styles"
        )
    assert name == "errors"
    for kind in set(layer["class"]):
        assert f'value="{kind}"' in qml
        assert f"<ogc:Literal>{kind}</ogc:Literal>" in sld


def labelled(make: Make, folder: str, name: str, seed: int, **options: Any) -> Path:
    data = np.random.default_rng(seed).integers(0, 3, (1, 20, 30)).astype(np.uint8)
    return make(f"{folder}/{name}.tif", data=data, **options)


def test_sheets_keep_their_places_and_each_crs_has_a_layer(
    make_raster: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(error_raster, "MOST_REGIONS", 60)
    for number, (place, crs) in enumerate((("x/a", 32632), ("y/b", 32633))):
        labelled(make_raster, "predicted", f"{place}_classes", number, crs=f"EPSG:{crs}")
        labelled(make_raster, "labels", f"{place}_label", number + 9, crs=f"EPSG:{crs}")
    data = evaluated((tmp_path / "predicted", tmp_path / "labels"), tmp_path / "out")
    assert data["rasters"] == ["x/a_errors.tif", "y/b_errors.tif"]
    assert data["regions_listed"] == 60 < data["regions"]
    layers = {
        name: geopandas.read_file(tmp_path / "out/errors.gpkg", layer=name)
        for name in ("errors", "errors_2")
    }
    assert [layer.crs.to_epsg() for layer in layers.values()] == [32632, 32633]
    assert [set(layer.sheet) for layer in layers.values()] == [{"x/a"}, {"y/b"}]
    assert sum(map(len, layers.values())) == 60


def test_an_evaluation_without_errors_removes_those_of_the_one_before_and_nothing_else(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    evaluated(pair, out)
    (out / "mine_errors.tif").write_bytes(b"mine")
    run(*pair, "isprs", out)
    assert sorted(path.name for path in out.iterdir()) == [
        *("classes.csv", "confusion.png", "metrics.json", "mine_errors.tif", "report.html")
    ]


@pytest.mark.parametrize("name", ["a_errors.tif", "errors.gpkg"])
def test_files_of_others_are_not_replaced(
    pair: tuple[Path, Path], tmp_path: Path, name: str
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_bytes(b"mine")
    with pytest.raises(OutputError, match=f"{name} exists and was not written by geoseg evaluate"):
        evaluated(pair, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]


def test_a_full_disk_is_said_where_pyogrio_meets_it(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise DataSourceError("Failed to commit transaction: database or disk is full")

    monkeypatch.setattr(ogr.raw, "write", full)
    with pytest.raises(DiskError, match=r"errors\.gpkg: cannot be written \(the disk is full\)"):
        evaluated(pair, tmp_path / "out")


def test_two_predictions_with_one_error_raster_are_refused(
    make_raster: Make, tmp_path: Path
) -> None:
    for suffix, place in (("tif", "a"), ("png", "a")):
        data = np.zeros((1, 9, 9), np.uint8)
        driver = {"tif": "GTiff", "png": "PNG"}[suffix]
        for folder in ("p", "l"):
            make_raster(f"{folder}/{place}.{suffix}", data=data, driver=driver)
    with pytest.raises(ConfigError, match="would both become"):
        evaluated((f"{tmp_path}/p/*.*", f"{tmp_path}/l/*.*"), tmp_path / "out")


def test_rasters_without_a_place_have_regions_in_pixels_and_no_areas(
    make_raster: Make, tmp_path: Path
) -> None:
    pair = [
        labelled(make_raster, "in", name, seed, crs=None, transform=None)
        for seed, name in enumerate(("a_classes", "a_label"))
    ]
    data = evaluated(tuple(pair), tmp_path / "out")
    layer = geopandas.read_file(tmp_path / "out/errors.gpkg", layer="errors")
    assert layer.crs is None
    assert len(layer) == data["regions"]
    assert layer.area_m2.isna().all()
    assert layer.area.to_numpy() == pytest.approx(layer.pixels.to_numpy())
    assert sorted(layer.pixels, reverse=True) == layer.pixels.tolist()
    with rasterio.open(tmp_path / "out/a_errors.tif") as file:
        assert file.crs is None
