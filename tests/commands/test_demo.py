"""The demo with a stand-in model, made here, at toy size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geoseg.classes import ClassScheme
from geoseg.commands import demo
from geoseg.errors import ModelError
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


def test_the_demo_says_where_its_files_are_and_how_good_they_are(
    tmp_path: Path, model: Path
) -> None:
    out = tmp_path / "demo"
    report = demo.run(out, size=160, seed=3, model=model)
    assert report.exit_code == 0
    confusion = ConfusionMatrix(len(CLASSES))
    for index in (1, 2):
        stem = out / "predicted" / f"scene_{index}"
        for suffix in ("_classes.tif", "_polygons.gpkg", "_preview.png"):
            assert stem.with_name(stem.name + suffix).is_file()
            assert stem.name + suffix in report.text
        with (
            rasterio.open(out / "labels" / f"scene_{index}.tif") as truth,
            rasterio.open(stem.with_name(stem.name + "_classes.tif")) as predicted,
        ):
            confusion.update(truth.read(1), predicted.read(1))
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


def test_accuracy_is_counted_in_strips(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = demo.run(tmp_path / "demo", size=96, seed=3, model=model)
    monkeypatch.setattr(demo, "_ROWS", 7)
    assert (
        demo.run(tmp_path / "demo", size=96, seed=3, model=model).data["accuracy"]
        == whole.data["accuracy"]
    )


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
