"""The demo with a stand-in model, made here, at toy size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geoseg.classes import ClassScheme
from geoseg.commands import demo, predict
from geoseg.errors import ModelError, OutputError
from geoseg.metrics import ConfusionMatrix
from geoseg.models import create_model, load_model, save_model
from geoseg.scenes import CLASSES


def stand_in(path: Path, bands: tuple[str, ...], classes: ClassScheme = CLASSES) -> Path:
    net = create_model("pixel", classes=len(classes), in_channels=len(bands))
    return save_model(
        net,
        path,
        classes=classes,
        bands=bands,
        value_range=(0, 255),
        mean=(100.0,) * len(bands),
        std=(50.0,) * len(bands),
        window=64,
        overlap=16,
        ground_sampling=0.15,
    )


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return stand_in(tmp_path / "model.safetensors", ("near-infrared", "red", "green"))


def confusion_of_whole_rasters(out: Path) -> ConfusionMatrix:
    confusion = ConfusionMatrix(len(CLASSES))
    for name in ("scene_1", "scene_2"):
        with (
            rasterio.open(out / "labels" / f"{name}.tif") as truth,
            rasterio.open(out / "predicted" / f"{name}_classes.tif") as predicted,
        ):
            confusion.update(truth.read(1), predicted.read(1))
    return confusion


def test_the_demos_images_need_no_choice_of_bands(tmp_path: Path, model: Path) -> None:
    demo.run(tmp_path / "demo", size=160, seed=3, model=model)
    report = predict.run(tmp_path / "demo/images", model, tmp_path / "by_name", vectors="none")
    assert report.exit_code == 0
    assert all(
        "bands 1,2,3 (near-infrared, red, green)" in line for line in report.data["warnings"]
    )
    for name in ("scene_1_classes.tif", "scene_2_classes.tif"):
        with (
            rasterio.open(tmp_path / "demo/predicted" / name) as by_number,
            rasterio.open(tmp_path / "by_name" / name) as by_name,
        ):
            np.testing.assert_array_equal(by_name.read(), by_number.read())


def test_the_demo_says_where_its_files_are_and_how_good_they_are(
    tmp_path: Path, model: Path
) -> None:
    out = tmp_path / "demo"
    report = demo.run(out, size=160, seed=3, model=model)
    assert report.exit_code == 0
    for name in ("scene_1", "scene_2"):
        for suffix in ("_classes.tif", "_polygons.gpkg", "_preview.png"):
            assert (out / "predicted" / (name + suffix)).is_file()
            assert name + suffix in report.text
    confusion = confusion_of_whole_rasters(out)
    accuracy = report.data["accuracy"]
    np.testing.assert_array_equal(accuracy["confusion_matrix"], confusion.matrix)
    assert accuracy["missed"] == [0] * 5, "every labelled pixel is predicted"
    assert (
        f"mean IoU {confusion.mean_iou:.3f}, overall accuracy {confusion.overall_accuracy:.3f}"
        in report.text
    )
    assert str(out / "images") in report.text


def test_a_second_demo_keeps_what_exists(tmp_path: Path, model: Path) -> None:
    first = demo.run(tmp_path / "demo", size=96, seed=3, model=model)
    second = demo.run(tmp_path / "demo", size=96, seed=3, model=load_model(model))
    assert [entry["status"] for entry in second.data["inputs"]] == ["kept", "kept"]
    assert second.data["accuracy"] == first.data["accuracy"]
    json.dumps(second.data, allow_nan=False)


def test_accuracy_counts_every_block_of_a_large_scene(tmp_path: Path, model: Path) -> None:
    report = demo.run(tmp_path / "demo", size=530, seed=3, model=model, vectors="none")
    with rasterio.open(tmp_path / "demo" / "labels" / "scene_1.tif") as truth:
        assert len(list(truth.block_windows(1))) > 1
    confusion = confusion_of_whole_rasters(tmp_path / "demo")
    assert confusion.matrix.sum() > 500_000
    np.testing.assert_array_equal(report.data["accuracy"]["confusion_matrix"], confusion.matrix)


def test_a_model_of_other_bands_is_refused(tmp_path: Path) -> None:
    thermal = stand_in(tmp_path / "thermal.safetensors", ("thermal", "red"))
    with pytest.raises(
        ModelError, match="needs band 'thermal'; the demo's scenes have near-infrared, red"
    ):
        demo.run(tmp_path / "demo", size=64, model=thermal)
    assert not (tmp_path / "demo").exists()


def test_a_model_of_other_classes_is_refused(tmp_path: Path) -> None:
    roads = stand_in(
        tmp_path / "roads.safetensors", ("red",), ClassScheme.from_names(["road", "rest"])
    )
    with pytest.raises(
        ModelError,
        match="the model was trained for road, rest; the demo needs one for impervious surfaces",
    ):
        demo.run(tmp_path / "demo", size=64, model=roads)


def test_a_file_in_the_place_of_its_folder_is_refused_before_it_draws(
    model: Path, tmp_path: Path
) -> None:
    with pytest.raises(OutputError, match=r"model\.safetensors is a file, not a folder"):
        demo.run(model, model=model)
