from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.features import shapes
from rasterio.warp import transform_geom

from geoseg.commands.evaluate import run
from geoseg.errors import ConfigError
from geoseg.metrics import scale_iou

Make = Callable[..., Path]

SHAPE = (64, 80)


def two_cars() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reference, prediction and numbers of two cars on a road, one of them half found."""
    reference, predicted = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    numbers = np.zeros(SHAPE, np.uint16)
    for number, rows, cols in ((1, slice(4, 12), slice(4, 20)), (2, slice(20, 28), slice(40, 56))):
        reference[rows, cols], numbers[rows, cols] = 4, number
    predicted[reference == 4] = 4
    predicted[20:24] = 0
    return reference, predicted, numbers


def test_objects_may_be_numbers_or_polygons_in_another_crs(make: Make, tmp_path: Path) -> None:
    reference, predicted, numbers = two_cars()
    pair = make("a_classes.tif", predicted), make("a_label.tif", reference)
    raster = make("a_instances.tif", numbers)
    with rasterio.open(raster) as file:
        outlines = [shape for shape, value in shapes(numbers, transform=file.transform) if value]
        features = [
            transform_geom(file.crs, "EPSG:4326", outline, precision=-1) for outline in outlines
        ]
    polygons = tmp_path / "cars.geojson"
    polygons.write_text(
        json.dumps(
            {
                "type": "FeatureCollection",
                "features": [
                    {"type": "Feature", "properties": {}, "geometry": shape} for shape in features
                ],
            }
        )
    )
    expected = scale_iou(reference, predicted, numbers)
    assert expected.iou.tolist() == [1.0, 0.5]
    for given in (raster, polygons):
        scales = run(*pair, "isprs", tmp_path / "out", instances=given).data["scale_iou"]
        assert (scales["objects"], scales["mean"]) == (2, 0.75)
        assert scales["bins"] == [
            {"from": 0, "to": 2500, "objects": 2, "mean": 0.75},
            {"from": 2500, "to": 62500, "objects": 0, "mean": None},
            {"from": 62500, "to": None, "objects": 0, "mean": None},
        ]
    assert "Scale-sensitive IoU" in (tmp_path / "out/report.html").read_text()


def test_cityscapes_instances_are_found_by_tile_and_groups_are_none(
    make: Make, tmp_path: Path
) -> None:
    labels, ids = np.full(SHAPE, 7, np.uint8), np.full(SHAPE, 7, np.int32)
    guess = np.zeros(SHAPE, np.uint8)
    labels[4:12, 4:20], ids[4:12, 4:20], guess[4:12, 4:20] = 26, 26_000, 13  # a car
    labels[20:28, 4:20], ids[20:28, 4:20] = 26, 26  # a group of cars
    labels[40:48, 4:20], ids[40:48, 4:20] = 29, 29_001  # a caravan: no class
    for name, array in (("labelIds", labels), ("instanceIds", ids), ("color", labels)):
        make(f"gt/bonn/bonn_000000_000019_gtFine_{name}.tif", array, crs=None, transform=None)
    make("pred/bonn/bonn_000000_000019_leftImg8bit_classes.tif", guess, crs=None, transform=None)
    data = run(
        tmp_path / "pred",
        tmp_path / "gt",
        "cityscapes",
        tmp_path / "out",
        protocol="cityscapes",
        instances=tmp_path / "gt",
    ).data
    assert (data["scale_iou"]["objects"], data["scale_iou"]["mean"]) == (1, 1.0)
    assert data["classes_in_mean"] == ["road", "car"]
    assert len(data["absent_classes"]) == 17
    assert data["pixels"] == SHAPE[0] * SHAPE[1] - 8 * 16


def test_objects_that_do_not_fit_are_refused(make: Make, tmp_path: Path) -> None:
    reference, predicted, numbers = two_cars()
    pair = make("a_classes.tif", predicted), make("a_label.tif", reference)
    with pytest.raises(
        ConfigError, match="no such files; give a raster, polygons, or a folder of them"
    ):
        run(*pair, "isprs", tmp_path / "out", instances=tmp_path / "nothing.tif")
    small = make("small.tif", numbers[:10])
    with pytest.raises(
        ConfigError, match=r"10 x 80 pixels .* do not lie on the grid of .*a_label.tif"
    ):
        run(*pair, "isprs", tmp_path / "out", instances=small)
    broken = tmp_path / "broken.geojson"
    broken.write_text("{}")
    with pytest.raises(ConfigError, match=r"broken.geojson: no polygons that can be read"):
        run(*pair, "isprs", tmp_path / "out", instances=broken)
    for tile in "ab":
        make(f"pred/{tile}_classes.tif", predicted)
        make(f"ref/{tile}_label.tif", reference)
    make("objects/a_instances.tif", numbers)
    report = run(
        tmp_path / "pred",
        tmp_path / "ref",
        "isprs",
        tmp_path / "out",
        instances=tmp_path / "objects/*.tif",
    )
    assert report.exit_code == 1
    assert (
        "no files of objects for tile b; give one a tile with --instances"
        in report.data["failures"][0]
    )
