"""Bands from several files predicted, trained and prepared as those of one merged file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from rasterio import Affine

import geoseg
from geoseg.errors import ConfigError
from geoseg.models import create_model, save_model
from tests.conftest import GRID

Make = Callable[..., Path]
PATTERN = "{stem}_dsm.tif"
OPTIONS: dict[str, Any] = {"confidence": True, "preview": False, "vectors": "none"}
RANGES = ((0, 255), (0, 255), (0, 255), (200, 400))
RGB = np.random.default_rng(7).integers(1, 255, (3, 70, 90)).astype(np.uint8)
HEIGHTS = np.random.default_rng(8).uniform(210, 390, (1, 70, 90)).astype(np.float32)
HEIGHTS[:, 30:34, 20:60] = -9999


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    return save_model(
        create_model("pixel", classes=3, in_channels=4),
        tmp_path / "model.safetensors",
        classes=["road", "roof", "grass"],
        bands=["red", "green", "blue", "dsm"],
        value_range=RANGES,
        mean=[120.0, 120.0, 120.0, 300.0],
        std=[60.0, 60.0, 60.0, 50.0],
        window=32,
        overlap=8,
    )


def write_pair(make: Make, name: str, rows: slice, cols: slice) -> None:
    place = {"transform": GRID @ Affine.translation(cols.start, rows.start)}
    make(f"{name}.tif", data=RGB[:, rows, cols], photometric="rgb", **place)
    make(f"{name}_dsm.tif", data=HEIGHTS[:, rows, cols], nodata=-9999, **place)


def write_merged(make: Make, name: str = "merged/a.tif") -> Path:
    """One file with all bands, its holes as NaN."""
    heights = np.where(HEIGHTS == -9999, np.nan, HEIGHTS)
    path = make(name, data=np.concatenate([RGB.astype(np.float32), heights]))
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("red", "green", "blue", "dsm")
    return path


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return np.vstack([file.read(), file.dataset_mask()[None]])


def expected(make: Make, model: Path, tmp_path: Path) -> dict[str, np.ndarray]:
    geoseg.predict(write_merged(make), model, out=tmp_path / "expected", **OPTIONS)
    return {kind: read(tmp_path / f"expected/a_{kind}.tif") for kind in ("classes", "confidence")}


def test_a_stack_is_predicted_as_one_merged_file_and_kept_as_long_as_its_files_stay(
    make_raster: Make, model: Path, tmp_path: Path
) -> None:
    write_pair(make_raster, "in/a", slice(0, 70), slice(0, 90))
    found = expected(make_raster, model, tmp_path)
    chosen = {**OPTIONS, "stack": PATTERN}
    report = geoseg.predict(tmp_path / "in", model, out=tmp_path / "out", **chosen)
    assert report.exit_code == 0
    assert [Path(each["path"]).name for each in report.data["inputs"]] == ["a.tif"]
    assert f"{tmp_path}/in/a_dsm.tif: holds bands of {tmp_path}/in/a.tif" in json.dumps(report.data)
    for kind, pixels in found.items():
        np.testing.assert_array_equal(read(tmp_path / f"out/a_{kind}.tif"), pixels)
    again = geoseg.predict(tmp_path / "in", model, out=tmp_path / "out", **chosen)
    assert again.data["inputs"][0]["status"] == "kept"
    with rasterio.open(tmp_path / "in/a_dsm.tif", "r+") as file:
        file.write(HEIGHTS[:, ::-1])
    changed = geoseg.predict(tmp_path / "in", model, out=tmp_path / "out", **chosen)
    assert "made from another source" in json.dumps(changed.data)


def test_sheets_of_a_mosaic_have_their_own_files_beside_them(
    make_raster: Make, model: Path, tmp_path: Path
) -> None:
    for name, rows, cols in [
        ("b", slice(0, 40), slice(0, 50)),
        ("a", slice(0, 40), slice(50, 90)),
        ("c", slice(40, 70), slice(0, 90)),
    ]:
        write_pair(make_raster, f"in/{name}", rows, cols)
    found = expected(make_raster, model, tmp_path)
    chosen = {**OPTIONS, "stack": PATTERN, "mosaic": "one"}
    assert not geoseg.predict(tmp_path / "in", model, out=tmp_path / "out", **chosen).exit_code
    for kind, pixels in found.items():
        np.testing.assert_array_equal(read(tmp_path / f"out/in_{kind}.tif"), pixels)


def test_an_input_without_its_file_fails_alone_in_one_line(
    make_raster: Make, model: Path, tmp_path: Path
) -> None:
    for name in ("in/a", "in/b"):
        write_pair(make_raster, name, slice(0, 40), slice(0, 50))
    (tmp_path / "in/b_dsm.tif").unlink()
    chosen = {**OPTIONS, "stack": PATTERN}
    report = geoseg.predict(tmp_path / "in", model, out=tmp_path / "out", **chosen)
    assert report.exit_code == 1
    (line,) = report.data["failures"]
    assert line.startswith(f"{tmp_path}/in/b.tif: {tmp_path}/in/b_dsm.tif is not there, which the")
    assert (tmp_path / "out/a_classes.tif").exists()
    with pytest.raises(ConfigError, match=r"^stack '\{name\}\.tif': \{name\} means nothing"):
        geoseg.predict(tmp_path / "in", model, out=tmp_path / "out", stack="{name}.tif")
    with pytest.raises(ConfigError, match=r"3 bands \(red, green, blue\), the model takes 4"):
        geoseg.predict(tmp_path / "in/a.tif", model, out=tmp_path / "other", **OPTIONS)


@pytest.mark.slow
def test_two_workers_give_the_same_bits(make_raster: Make, model: Path, tmp_path: Path) -> None:
    write_pair(make_raster, "in/a", slice(0, 70), slice(0, 90))
    found = expected(make_raster, model, tmp_path)
    chosen = {**OPTIONS, "stack": PATTERN, "workers": 2, "block": 32}
    geoseg.predict(tmp_path / "in/a.tif", model, out=tmp_path / "out", **chosen)
    for kind, pixels in found.items():
        np.testing.assert_array_equal(read(tmp_path / f"out/a_{kind}.tif"), pixels)


LABELS = np.random.default_rng(9).integers(0, 2, (1, 70, 90)).astype(np.uint8)


def config(images: Any, labels: Path, **data: Any) -> dict[str, Any]:
    return {
        "data": {
            "train": {"images": images, "labels": str(labels)},
            "classes": ["low", "high"],
            "value_range": {"dsm": [200, 400]},
            **data,
        },
        "model": {"system": "pixel"},
        "train": {"steps": 2, "batch": 1, "crop": 16, "augment": {"brightness": 0.1}},
    }


def test_a_config_with_several_images_trains_what_one_merged_file_does(
    make_raster: Make, tmp_path: Path
) -> None:
    write_pair(make_raster, "in/a", slice(0, 70), slice(0, 90))
    labels = make_raster("labels/a.tif", data=LABELS)
    images = [str(tmp_path / "in/a.tif"), PATTERN]
    geoseg.train(config(images, labels), out=tmp_path / "stacked")
    bytes_too = {"red": [0, 255], "green": [0, 255], "blue": [0, 255], "dsm": [200, 400]}
    merged = config(str(write_merged(make_raster)), labels, value_range=bytes_too)
    geoseg.train(merged, out=tmp_path / "merged_run")
    one, other = (
        geoseg.load_model(tmp_path / run / "model.safetensors") for run in ("stacked", "merged_run")
    )
    assert one.card.bands == ("red", "green", "blue", "dsm")
    assert one.card.ranges == RANGES
    assert (one.card.mean, one.card.std) == (other.card.mean, other.card.std)
    for name, weights in one.net.state_dict().items():
        assert torch.equal(weights, other.net.state_dict()[name]), name


def test_prepared_images_have_all_bands(make_raster: Make, tmp_path: Path) -> None:
    write_pair(make_raster, "set/images/a", slice(0, 70), slice(0, 90))
    make_raster("set/labels/a.tif", data=LABELS)
    made = geoseg.prepare(
        "folder",
        tmp_path / "set",
        tmp_path / "made",
        images="images/a.tif",
        labels="labels/a.tif",
        classes=["low", "high"],
        split="all",
        stack=PATTERN,
    )
    assert made.exit_code == 0
    (path,) = (tmp_path / "made/train/images").iterdir()
    whole = geoseg.stack([tmp_path / "set/images/a.tif", tmp_path / "set/images/a_dsm.tif"])
    prepared = geoseg.open_raster(path)
    assert prepared.band_names == whole.band_names
    with whole.open() as first, prepared.open() as second:
        (pixels, valid), (others, also) = (r.read(0, 0, 70, 90) for r in (first, second))
    np.testing.assert_array_equal(valid, also)
    np.testing.assert_array_equal(pixels[:, valid], others[:, valid])
