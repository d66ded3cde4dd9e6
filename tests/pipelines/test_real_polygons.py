"""Cleaned polygons of real class rasters: a partition, the same however they were made."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
import torch

import geoseg

CLASSES = ["other", "building", "clutter", "vegetation", "water", "ground"]
CLEANING = {
    "min_area": "30px",
    "keep": "clutter",
    "simplify": "1px",
    "smooth": True,
    "regularize": "building",
}
LABELS = {
    "banepa": ("banepa_buildings/train/banepa_label.tif", 1),
    "drone": ("dronedeploy10cm/train/ec09_a_label.tif", 0),
}
"""Below the folder of real imagery; and the axis along which they are doubled, which makes them
larger than a cell of the lattice in which polygons are simplified."""


def write_model(path: Path) -> Path:
    """A model whose class is the value of a pixel: the nearest of 10, 30, 50 and so on."""
    net = geoseg.create_model("pixel", classes=len(CLASSES), in_channels=1)
    values = 10.0 + 20 * torch.arange(len(CLASSES))
    weight, bias = (dict(net.named_parameters())[name] for name in parameter_names(net))
    with torch.no_grad():
        weight.copy_(2 * values.reshape(weight.shape))
        bias.copy_(-(values**2))
    card = {"classes": CLASSES, "bands": ["class"], "value_range": (0, 255), "window": 512}
    return geoseg.save_model(net, path, **card, overlap=128, mean=[0.0], std=[1.0])


def parameter_names(net: torch.nn.Module) -> tuple[str, str]:
    names = [name for name, _ in net.named_parameters()]
    (weight,) = (name for name in names if name.endswith("weight"))
    (bias,) = (name for name in names if name.endswith("bias"))
    return weight, bias


def write_image(path: Path, labels: Path, axis: int) -> np.ndarray:
    """An image of the classes, doubled, with single pixels of other classes; the classes."""
    with rasterio.open(labels) as file:
        own, place = file.read(1), {"crs": file.crs, "transform": file.transform}
    classes = np.concatenate([own, np.flip(own, axis)], axis)
    random = np.random.default_rng(0)
    noisy = (random.random(classes.shape) < 0.002) & (classes != 255)
    classes[noisy] = random.integers(0, len(CLASSES), int(noisy.sum()))
    values = np.where(classes == 255, 255, 10 + 20 * classes.astype(int)).astype(np.uint8)
    height, width = classes.shape
    kind = {"driver": "GTiff", "count": 1, "dtype": "uint8", "nodata": 255, "tiled": True}
    with rasterio.open(path, "w", height=height, width=width, **kind, **place) as file:
        file.write(values, 1)
    return classes


@pytest.mark.slow
@pytest.mark.skipif(
    "GEOSEG_DATA" not in os.environ, reason="GEOSEG_DATA names no folder of real imagery"
)
@pytest.mark.parametrize("name", LABELS)
def test_cleaned_polygons_of_real_rasters_do_not_depend_on_blocks_and_workers(
    name: str, tmp_path: Path
) -> None:
    file, axis = LABELS[name]
    labels = Path(os.environ["GEOSEG_DATA"], file)
    if not labels.exists():
        pytest.skip(f"no {file} under $GEOSEG_DATA")
    classes = write_image(tmp_path / "scene.tif", labels, axis)
    model = write_model(tmp_path / "model.safetensors")
    first: list[np.ndarray] = []
    ways = [{"block": each} for each in ("auto", 512, 1000, 4096)]
    for number, way in enumerate([*ways, {"workers": 1}, {"workers": 3}]):
        out = tmp_path / str(number)
        geoseg.predict(tmp_path / "scene.tif", model, out=out, preview=False, **CLEANING, **way)
        (path,) = out.glob("*.gpkg")
        _, _, geometry, fields = pyogrio.raw.read(path, layer=path.stem)
        found = [geometry, *fields]
        first = first or found
        assert all(map(np.array_equal, found, first)), way
    polygons = shapely.from_wkb(first[0])
    assert len(polygons) > 100
    assert shapely.is_valid(polygons).all()
    assert shapely.coverage_is_valid(polygons)
    with rasterio.open(tmp_path / "scene.tif") as raster:
        pixel = abs(raster.transform.determinant)
    valid = (classes != 255).sum() * pixel
    assert shapely.area(polygons).sum() == pytest.approx(valid, rel=1e-9)
