from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio.warp
import shapely

import geoseg
from geoseg.classes import ClassScheme
from geoseg.errors import OutputError
from geoseg.inference.stac import classification
from geoseg.inference.stac_files import refuse_stac
from geoseg.places import any_path

Make = Callable[..., Path]


@pytest.fixture
def out(make_raster: Make, model_file: Path, tmp_path: Path) -> Path:
    for name in ("b", "north/a"):
        make_raster(f"in/{name}.tif")
    run = {"preview": True, "confidence": True, "probabilities": True, "vectors": "gpkg,geojson"}
    report = geoseg.predict(tmp_path / "in", model_file, tmp_path / "out", stac=True, **run)
    assert report.exit_code == 0
    return tmp_path / "out"


def item_of(out: Path) -> dict[str, Any]:
    return json.loads((out / "north/a.json").read_text())


def test_pystac_reads_the_collection_and_finds_each_item_and_asset(out: Path) -> None:
    collection = pystac.Collection.from_file(str(out / "collection.json"))
    items = sorted(collection.get_items(), key=lambda item: item.id)
    assert [item.id for item in items] == ["b", "north__a"]
    for item in items:
        assert item.get_collection().id == collection.id == "geoseg"
        assert item.datetime is not None
        for asset in item.assets.values():
            assert Path(asset.get_absolute_href()).is_file()
        (source,) = item.get_links("derived_from")
        assert Path(source.get_absolute_href()).resolve().is_file()
    boxes = [shapely.box(*item.bbox) for item in items]
    assert collection.extent.spatial.bboxes == [list(shapely.union_all(boxes).bounds)]
    low, high = collection.extent.temporal.intervals[0]
    assert low <= min(item.datetime for item in items) <= high


def test_an_item_says_where_its_pixels_lie(out: Path) -> None:
    properties = item_of(out)["properties"]
    with rasterio.open(out / "north/a_classes.tif") as file:
        assert properties["proj:shape"] == [file.height, file.width]
        assert properties["proj:transform"] == list(file.transform)[:6]
        assert properties["proj:code"] == str(file.crs) == "EPSG:32632"
        bounds = rasterio.warp.transform_bounds(file.crs, "EPSG:4326", *file.bounds)
    assert properties["proj:projjson"]["type"] == "ProjectedCRS"
    assert item_of(out)["bbox"] == pytest.approx(list(bounds), abs=1e-6)
    assert shapely.geometry.shape(item_of(out)["geometry"]).is_valid


def test_assets_carry_size_checksum_type_and_what_their_bands_mean(out: Path) -> None:
    assets = item_of(out)["assets"]
    assert set(assets) == {
        *("classes", "confidence", "probabilities", "preview"),
        *("polygons_gpkg", "polygons_geojson"),
    }
    for asset in assets.values():
        content = (out / "north" / asset["href"]).read_bytes()
        assert asset["file:size"] == len(content)
        assert asset["file:checksum"] == "1220" + hashlib.sha256(content).hexdigest()
    (band,) = assets["classes"]["bands"]
    assert (band["data_type"], band["nodata"]) == ("uint8", 255)
    assert [each["value"] for each in band["classification:classes"]] == [0, 1, 2, 3, 254, 255]
    (band,) = assets["confidence"]["bands"]
    assert (band["nodata"], band["raster:scale"]) == (0, pytest.approx(1 / 255))
    assert len(assets["probabilities"]["bands"]) == 4
    assert "nodata" not in assets["probabilities"]["bands"][0]
    assert assets["preview"]["roles"] == ["overview"]
    assert assets["classes"]["type"].endswith("profile=cloud-optimized")
    assert assets["polygons_gpkg"]["type"] == "application/geopackage+sqlite3"


def test_each_extension_whose_fields_are_used_is_declared(out: Path) -> None:
    document = item_of(out)
    declared = " ".join(document["stac_extensions"])
    prefixes = {"proj": "projection/v2", "raster": "raster/v2", "file": "file/v2"}
    prefixes |= {"classification": "classification/v2", "processing": "processing/v1"}
    text = json.dumps(document)
    for prefix, name in prefixes.items():
        assert f'"{prefix}:' in text
        assert name in declared
    assert document["properties"]["processing:software"] == {"geoseg": geoseg.__version__}


def test_names_of_classes_are_plain_and_colours_are_hints() -> None:
    classes = ClassScheme.from_names(["low vegetation", "屋根"], [(0, 255, 16), (1, 2, 3)])
    first, second, uncertain, nodata = classification(classes)
    assert first == {
        "value": 0,
        "name": "low-vegetation",
        "title": "low vegetation",
        "color_hint": "00FF10",
    }
    assert (second["name"], second["title"]) == ("class", "屋根")
    assert uncertain["value"] == 254
    assert (nodata["value"], nodata["nodata"]) == (255, True)


def test_without_crs_an_item_has_no_geometry(
    make_raster: Make, model_file: Path, tmp_path: Path
) -> None:
    image = make_raster("c.tif", crs=None, transform=None)
    geoseg.predict(image, model_file, tmp_path / "out", stac=True, preview=False, vectors="none")
    document = json.loads((tmp_path / "out/c.json").read_text())
    assert (document["geometry"], document["properties"]["proj:code"]) == (None, None)
    assert "bbox" not in document
    pystac.Item.from_dict(document)


def test_squares_are_assets_beside_their_index(
    make_raster: Make, model_file: Path, tmp_path: Path
) -> None:
    image = make_raster("c.tif", data=np.ones((3, 600, 520), np.uint8))
    run = {"preview": False, "vectors": "none", "max_output_pixels": 2**18}
    geoseg.predict(image, model_file, tmp_path / "out", stac=True, **run)
    assets = json.loads((tmp_path / "out/c.json").read_text())["assets"]
    assert [asset["href"] for asset in assets.values()] == [
        "./c_classes.vrt",
        *(f"./c_classes/c_classes_r00{row}_c00{col}.tif" for row in (0, 1) for col in (0, 1)),
    ]


def test_a_collection_of_somebody_else_and_a_bucket_are_refused(tmp_path: Path) -> None:
    refuse_stac(tmp_path, overwrite=False)
    (tmp_path / "collection.json").write_text("{}")
    with pytest.raises(geoseg.GeosegError, match=r"collection\.json exists and was not written"):
        refuse_stac(tmp_path, overwrite=False)
    with pytest.raises(geoseg.GeosegError, match=r"stac: s3://b/out is a bucket"):
        refuse_stac(any_path("s3://b/out"), overwrite=True)


def test_no_item_takes_the_place_of_another_file(
    make_raster: Callable[..., Path], model_file: Path, tmp_path: Path
) -> None:
    run = {"preview": False, "vectors": "none", "stac": True, "out": tmp_path / "out"}
    image = make_raster("report.tif")
    report = geoseg.predict(image, model_file, **run)
    assert json.loads((tmp_path / "out/report.json").read_text())["inputs"]
    assert "stac_version" in json.loads((tmp_path / "out/report.stac.json").read_text())
    assert report.exit_code == 0
    mine = tmp_path / "out/mine.json"
    mine.write_text('{"notes": 1}')
    with pytest.raises(OutputError, match=r"mine\.json exists and was not written by geoseg"):
        geoseg.predict(make_raster("mine.tif"), model_file, **run)
    assert not (tmp_path / "out/mine_classes.tif").exists()
    assert mine.read_text() == '{"notes": 1}'
