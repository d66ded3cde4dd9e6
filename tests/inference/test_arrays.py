"""Arrays in memory get the labels that the file gets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch

import geoseg
from geoseg.errors import ConfigError, SourceError
from geoseg.models import Model
from tests.conftest import GRID, UTM

Make = Callable[..., Path]


def test_an_array_gets_the_labels_of_its_file(
    make_raster: Make, make_model: Callable[..., Model], tmp_path: Path
) -> None:
    data = np.random.default_rng(0).integers(1, 255, (3, 50, 70)).astype(np.uint8)
    data[:, 10:20, 30:50] = 0
    path = make_raster("scene.tif", data=data, nodata=0)
    options = {"vectors": "none", "preview": False, "confidence": True, "device": "cpu"}
    geoseg.predict(path, make_model(), out=tmp_path / "out", precision="fp32", **options)
    labels, confidence = geoseg.predict_array(
        data, make_model(), GRID, UTM, nodata=[0], device="cpu", precision="fp32"
    )
    for kind, found in (("classes", labels), ("confidence", confidence)):
        with rasterio.open(tmp_path / f"out/scene_{kind}.tif") as file:
            np.testing.assert_array_equal(found, file.read(1))


def test_a_data_array_is_read_window_by_window_with_its_place(make_raster: Make) -> None:
    rioxarray = pytest.importorskip("rioxarray")
    path = make_raster("scene.tif", nodata=7)
    file = geoseg.open_raster(path)
    array = rioxarray.open_rasterio(path)
    for given in (array, array.copy()):
        source = geoseg.open_raster(given)
        assert (source.transform, source.crs) == (file.transform, file.crs)
        with source.open() as one, file.open() as other:
            window = (3, 4, 20, 30)
            for found, expected in zip(one.read(*window), other.read(*window), strict=True):
                np.testing.assert_array_equal(found, expected)
    plain = array.drop_vars("spatial_ref")
    assert geoseg.open_raster(plain, crs=UTM).transform.almost_equals(file.transform)
    with pytest.raises(SourceError, match=r"DataArray with dimensions \('y', 'x', 'band'\)"):
        geoseg.open_raster(array.transpose("y", "x", "band"))
    with rasterio.open(path) as dataset:
        assert geoseg.open_raster(dataset.name).transform == file.transform


def test_arrays_that_cannot_be_images_are_refused(make_model: Callable[..., Model]) -> None:
    for array, words in (
        (np.zeros((3, 4, 5, 6)), r"of shape \(3, 4, 5, 6\) and type float64; give real numbers"),
        (np.zeros((3, 4, 5), complex), "type complex128"),
        (np.zeros((3, 0, 5)), r"of shape \(3, 0, 5\)"),
    ):
        with pytest.raises(SourceError, match=words):
            geoseg.predict_array(array, make_model())
    with pytest.raises(SourceError, match="array: 2 bands"):
        geoseg.predict_array(np.zeros((2, 8, 8), np.uint8), make_model())
    with pytest.raises(ConfigError, match=r"bands \[4\]: choose among 1..3"):
        geoseg.predict_array(np.zeros((3, 8, 8), np.uint8), make_model(), bands=[4])
    with pytest.raises(ConfigError, match="option 'windov' is unknown"):
        geoseg.predict_array(np.zeros((3, 8, 8), np.uint8), make_model(), windov=3)


def test_networks_of_other_programs_label_arrays_by_their_card(tmp_path: Path) -> None:
    conv = torch.nn.Conv2d(1, 2, 1)
    torch.jit.trace(conv, torch.zeros(1, 1, 4, 4)).save(tmp_path / "x.pt")
    card = tmp_path / "my.yaml"
    facts = (
        "classes: [a, b]\nbands: [gray]\nvalue_range: [0, 255]\nmean: [99]\nstd: [9]\nside: 32\n"
    )
    card.write_text(facts)
    image = np.random.default_rng(0).integers(1, 255, (1, 20, 40)).astype(np.uint8)
    labels, _ = geoseg.predict_array(image, tmp_path / "x.pt", card=card, precision="fp32")
    with torch.no_grad():
        wanted = conv((torch.from_numpy(image).float() - 99) / 9).argmax(0)
    assert np.array_equal(labels, wanted.numpy())
    with pytest.raises(ConfigError, match="takes images of 32 px only"):
        geoseg.predict_array(image, tmp_path / "x.pt", card=card, window=16)
