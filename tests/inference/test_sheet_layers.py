"""The map of a run: which files it shows, whatever the run has made of its inputs."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rasterio
from affine import Affine

import geoseg
from geoseg.errors import ConfigError, OutputError
from geoseg.inference import sheet_layers
from geoseg.inference.sheet_layers import refuse_project
from geoseg.places import any_path
from geoseg.progress import Progress
from tests.conftest import GRID

Make = Callable[..., Path]
RUN = {"project": True, "preview": False, "vectors": "gpkg"}


class Notes(Progress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def sheets(make_raster: Make, tmp_path: Path) -> Path:
    """Two that adjoin."""
    for number in range(2):
        make_raster(
            f"town/{number}.tif", seed=number, transform=GRID @ Affine.translation(80 * number, 0)
        )
    return tmp_path / "town"


def shown(out: Path) -> dict[str, list[str]]:
    """The files of each group of the map, and that all of them are there."""
    with zipfile.ZipFile(out / f"{out.name}.qgz") as file:
        root = ET.fromstring(file.read(file.namelist()[0]))
    files = {each.findtext("id"): each.findtext("datasource") for each in root.iter("maplayer")}
    groups: dict[str, list[str]] = {}
    for node in root.find("layer-tree-group"):
        leaves = list(node.iter("layer-tree-layer"))
        groups[node.get("name")] = [files[leaf.get("id")] for leaf in leaves]
    assert all((out / name).exists() for names in groups.values() for name in names)
    return groups


@pytest.mark.parametrize(
    ("options", "polygons", "classes"),
    [
        ({"merge": True}, ["town"], ["0_classes.tif", "1_classes.tif"]),
        ({"mosaic": "sheets"}, ["town"], ["0_classes.tif", "1_classes.tif"]),
        ({"mosaic": "one", "squares": True}, ["town"], ["town_classes.vrt"]),
    ],
)
def test_the_map_shows_what_was_made_of_sheets(
    sheets: Path,
    make_raster: Make,
    model_file: Path,
    tmp_path: Path,
    options: dict[str, Any],
    polygons: list[str],
    classes: list[str],
) -> None:
    chosen = dict(options)
    images = ["../town/0.tif", "../town/1.tif"]
    if chosen.pop("squares", False):  # of 512 pixels
        chosen["max_output_pixels"] = 2**18
        for number in range(2):
            data = np.full((3, 520, 260), 90 + number, np.uint8)
            place = GRID @ Affine.translation(260 * number, 0)
            make_raster(f"town/{number}.tif", data=data, transform=place)
    report = geoseg.predict(sheets, model_file, tmp_path / "out", **RUN, **chosen)
    assert report.exit_code == 0, report.data["failures"]
    assert shown(tmp_path / "out") == {
        "polygons": [f"./{name}_polygons.gpkg" for name in polygons],
        "classes": [f"./{name}" for name in classes],
        "imagery": images,
    }


def test_of_merged_polygons_the_map_takes_a_format_that_any_qgis_reads(
    sheets: Path, model_file: Path, tmp_path: Path
) -> None:
    options = RUN | {"merge": True, "vectors": "parquet,shp,fgb"}
    geoseg.predict(sheets, model_file, tmp_path / "out", **options)
    assert shown(tmp_path / "out")["polygons"] == ["./town_polygons.fgb"]


def test_each_sheet_of_a_mosaic_keeps_its_own_crs(
    sheets: Path, make_raster: Make, model_file: Path, tmp_path: Path
) -> None:
    make_raster("town/2.tif", crs="EPSG:25832", transform=GRID @ Affine.translation(160, 0))
    model = geoseg.load_model(model_file)
    model = replace(model, card=model.card.model_copy(update={"ground_sampling": 0.5}))
    run = RUN | {"mosaic": "one", "resample": True}
    report = geoseg.predict(sheets, model, tmp_path / "out", **run)
    assert report.exit_code == 0, report.data["failures"]
    with zipfile.ZipFile(tmp_path / "out/out.qgz") as file:
        root = ET.fromstring(file.read("out.qgs"))
    systems = {
        each.findtext("datasource"): each.findtext("srs//authid") for each in root.iter("maplayer")
    }
    assert systems["../town/2.tif"] == "EPSG:25832"
    assert systems["../town/1.tif"] == systems["./town_classes.tif"] == "EPSG:32632"


def test_a_bucket_holds_no_project() -> None:
    with pytest.raises(
        ConfigError, match=r"project: s3://b/out is a bucket; give a folder of this"
    ):
        refuse_project(any_path("s3://b/out"), overwrite=False)


def test_of_many_sheets_the_map_shows_virtual_rasters_over_all(
    make_raster: Make, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheet_layers, "MOST_SHEETS", 1)
    whole = np.random.default_rng(3).integers(1, 255, (3, 64, 160)).astype(np.uint8)
    for number in range(2):
        place = GRID @ Affine.translation(80 * number, 0)
        half = whole[:, :, 80 * number : 80 * (number + 1)]
        make_raster(f"town/{number}.tif", data=half, transform=place)
    out = tmp_path / "out"
    report = geoseg.predict(tmp_path / "town", model_file, out, **RUN)
    assert report.exit_code == 0, report.data["failures"]
    assert shown(out) == {
        "classes": ["./out_all_classes.vrt"],
        "imagery": ["./out_all_imagery.vrt"],
    }
    with rasterio.open(out / "out_all_imagery.vrt") as file:
        np.testing.assert_array_equal(file.read(), whole)
        assert (file.crs.to_epsg(), file.transform) == (32632, GRID)
        assert (file.dataset_mask() == 255).all()
    with rasterio.open(out / "out_all_classes.vrt") as file:
        for number in range(2):
            with rasterio.open(out / f"{number}_classes.tif") as sheet:
                left = 80 * number
                found = file.read(1)[:, left : left + 80]
                np.testing.assert_array_equal(found, sheet.read(1))
        assert file.nodata == 255
    geoseg.predict(tmp_path / "town", model_file, out, **RUN)
    (out / "out_all_classes.vrt").write_text("mine")
    with pytest.raises(OutputError, match=r"out_all_classes\.vrt exists and was not written"):
        geoseg.predict(tmp_path / "town", model_file, out, **RUN)


def test_that_the_map_shows_no_polygons_is_said(
    sheets: Path, model_file: Path, tmp_path: Path
) -> None:
    notes = Notes()
    options = RUN | {"vectors": "parquet", "progress": notes}
    geoseg.predict(sheets / "0.tif", model_file, tmp_path / "out", **options)
    assert "polygons" not in shown(tmp_path / "out")
    assert any("add gpkg to --vectors" in line for line in notes.lines)
