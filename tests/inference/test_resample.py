"""Resampling on the fly: the labels of the file that was resampled first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.warp
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.enums import Resampling

import geoseg
from geoseg.errors import ConfigError, SourceError
from geoseg.models import Model
from geoseg.raster import make_mosaic, open_mosaic, open_raster
from tests.conftest import GRID, UTM

Make = Callable[..., Path]
OPTIONS: dict[str, Any] = {"vectors": "none", "preview": False, "resample": True}
ON_MODEL = {**OPTIONS, "output_grid": "model"}


@pytest.fixture
def model(make_model: Callable[..., Model]) -> Model:
    """Of 0.8 m; the rasters have 0.5 m."""
    made = make_model()
    return replace(made, card=made.card.model_copy(update={"ground_sampling": 0.8}))


def labels(path: Path) -> tuple[np.ndarray, Affine]:
    with rasterio.open(path) as file:
        return file.read(1), file.transform


def test_labels_are_those_of_the_file_that_was_resampled_first(
    make_raster: Make, model: Model, tmp_path: Path
) -> None:
    data = np.random.default_rng(1).integers(1, 255, (3, 90, 110)).astype(np.uint8)
    data[:, 30:50, 40:70] = 0
    scene = make_raster("scene.tif", data=data, nodata=0)
    source = open_raster(scene).resample(0.8)
    with source.open() as reader:
        pixels, valid = reader.read(0, 0, source.height, source.width)
    pixels[:, ~valid] = 0
    make_raster("warped.tif", data=pixels, nodata=0, transform=source.transform)
    geoseg.predict(scene, model, out=tmp_path / "fly", block=25, **ON_MODEL)
    geoseg.predict(tmp_path / "warped.tif", model, out=tmp_path / "first", **OPTIONS)
    found, transform = labels(tmp_path / "fly/scene_classes.tif")
    expected, _ = labels(tmp_path / "first/warped_classes.tif")
    np.testing.assert_array_equal(found, expected)
    assert transform == source.transform
    again = geoseg.predict(scene, model, out=tmp_path / "fly", **ON_MODEL)
    assert again.data["inputs"][0]["status"] == "kept"
    assert not any("ground sampling" in line for line in again.data["warnings"])


@pytest.mark.parametrize("sampling", [0.8, pytest.param(0.3, marks=pytest.mark.slow)])
def test_outputs_come_back_to_the_pixels_of_the_source(
    make_raster: Make, model: Model, tmp_path: Path, sampling: float
) -> None:
    data = np.random.default_rng(1).integers(1, 255, (3, 90, 110)).astype(np.uint8)
    data[:, 30:50, 40:70] = 0
    scene = make_raster("scene.tif", data=data, nodata=0)
    own = replace(model, card=model.card.model_copy(update={"ground_sampling": sampling}))
    given = {"confidence": True, "probabilities": True}
    geoseg.predict(scene, own, out=tmp_path / "model", **ON_MODEL, **given)
    geoseg.predict(scene, own, out=tmp_path / "source", **OPTIONS, **given)
    scale = sampling / 0.5
    for kind in ("classes", "confidence", "probabilities"):
        with rasterio.open(tmp_path / f"model/scene_{kind}.tif") as file:
            coarse, mask = file.read(), file.dataset_mask()
        with rasterio.open(tmp_path / f"source/scene_{kind}.tif") as file:
            found, found_mask = file.read(), file.dataset_mask()
            assert (file.shape, file.transform) == ((90, 110), GRID)
        rows = np.minimum((np.arange(90) + 0.5) / scale, coarse.shape[1] - 1).astype(int)
        cols = np.minimum((np.arange(110) + 0.5) / scale, coarse.shape[2] - 1).astype(int)
        np.testing.assert_array_equal(found_mask, mask[rows][:, cols])
        if kind != "probabilities":
            np.testing.assert_array_equal(found, coarse[:, rows][:, :, cols])
            continue
        sums = found.astype(int).sum(axis=0)[found_mask != 0]
        assert np.abs(sums - 255).max() <= 4  # of four rounded means
        method = Resampling.bilinear if scale > 1 else Resampling.average
        rasterio.warp.reproject(
            np.where(mask != 0, coarse + 1.0, 0.0).astype(np.float32),
            warped := np.zeros(found.shape, np.float32),
            src_transform=GRID @ Affine.scale(scale),
            src_crs=UTM,
            src_nodata=0,
            dst_transform=GRID,
            dst_crs=UTM,
            dst_nodata=0,
            resampling=method,
            tolerance=0,
            UNIFIED_SRC_NODATA="YES",
        )
        inner = (found_mask != 0) & (warped > 0).all(axis=0)
        inner[int(89 / scale * scale) - 1 :] = False
        expected = np.rint(warped - 1)
        close = np.abs(found.astype(int) - expected)[:, inner] <= 1
        assert close.mean() >= 0.99


@pytest.mark.slow
def test_squares_of_outputs_that_come_back_are_those_of_the_whole(
    make_raster: Make, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, cols = np.mgrid[:300, :330]
    data = np.stack([127 + 120 * np.sin(rows / a + cols / 9) for a in (9, 5, 3)]).astype(np.uint8)
    scene = make_raster("scene.tif", data=data)
    monkeypatch.setattr("geoseg.inference.options.LEAST_PIXELS", 1)
    geoseg.predict(scene, model, out=tmp_path / "one", **OPTIONS)
    geoseg.predict(scene, model, out=tmp_path / "many", max_output_pixels=128**2, **OPTIONS)
    one, _ = labels(tmp_path / "one/scene_classes.tif")
    np.testing.assert_array_equal(labels(tmp_path / "many/scene_classes.vrt")[0], one)


def test_sheets_of_a_resampled_mosaic_tile_its_raster(
    make_raster: Make, model: Model, tmp_path: Path
) -> None:
    data = np.random.default_rng(1).integers(1, 255, (3, 60, 90)).astype(np.uint8)
    for name, col in (("a", 0), ("b", 41)):
        sheet = data[:, :, col : 41 if col == 0 else None]
        place = GRID @ Affine.translation(col, 0)
        make_raster(f"sheets/{name}.tif", data=sheet, transform=place)
    for given in (OPTIONS, ON_MODEL):
        out = tmp_path / given.get("output_grid", "source")
        for mosaic in ("one", "sheets"):
            options = {**given, "mosaic": mosaic}
            geoseg.predict(tmp_path / "sheets", model, out=out / mosaic, **options)
        whole, _ = labels(out / "one/sheets_classes.tif")
        parts = [labels(out / f"sheets/{name}_classes.tif")[0] for name in ("a", "b")]
        np.testing.assert_array_equal(np.hstack(parts), whole)
    assert whole.shape == (38, 57)
    assert labels(tmp_path / "source/one/sheets_classes.tif")[0].shape == (60, 90)


def test_sheets_of_other_coordinate_systems_are_brought_to_that_of_most(
    make_raster: Make, make_model: Callable[..., Model], tmp_path: Path
) -> None:
    data = np.random.default_rng(1).integers(1, 255, (3, 60, 60)).astype(np.uint8)
    for number in range(2):
        place = GRID @ Affine.translation(60 * number, 0)
        make_raster(f"sheets/{number}.tif", data=data, transform=place)
    other = Affine(0.5, 0, 59_960.0, 0, -0.5, 5_420_250.0)
    make_raster("sheets/2.tif", data=data, crs="EPSG:32633", transform=other)
    paths = sorted((tmp_path / "sheets").iterdir())
    mosaic = open_mosaic(paths, resample=True)
    assert mosaic.crs == open_raster(paths[0]).crs
    assert "1 sheet of 3 are resampled to its grid" in mosaic.warnings[0]
    assert mosaic.height > 60
    sources = [open_raster(path) for path in paths]
    chosen, _ = make_mosaic(tmp_path, sources, crs=CRS.from_epsg(32633), resample=True)
    assert (chosen.crs, "2 sheets of 3 are" in chosen.warnings[0]) == (sources[2].crs, True)
    (own,) = [sheet for sheet in chosen.sheets if sheet.source.path == paths[2]]
    with chosen.open() as reader:
        pixels, valid = reader.read(own.row, own.col, 60, 60)
    np.testing.assert_array_equal(pixels[:, valid], data[:, valid])
    assert valid.all()
    with pytest.raises(SourceError, match="--crs EPSG:3035: none of the sheets has it"):
        make_mosaic(tmp_path, sources, crs=CRS.from_epsg(3035), resample=True)
    out = tmp_path / "out"
    refused = geoseg.predict(
        tmp_path / "sheets", make_model(), out=out, mosaic="one", vectors="none", preview=False
    )
    assert refused.exit_code == 1
    assert "sheets have one coordinate system: --resample brings it" in refused.data["failures"][0]


def test_a_model_without_ground_sampling_is_refused(
    make_raster: Make, make_model: Callable[..., Model], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="the model's card names no ground sampling"):
        geoseg.predict(make_raster(), make_model(), out=tmp_path / "out", **OPTIONS)
