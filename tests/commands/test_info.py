"""What geoseg makes of a file."""

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

import geoseg
from geoseg.commands.info import run
from geoseg.errors import SourceError


def line_of(report, name):
    return next(
        line.removeprefix(name).strip()
        for line in report.text.splitlines()
        if line.startswith(f"{name}  ")
    )


def test_a_model_shows_its_card(model_file):
    report = run(model_file)
    assert report.data["parameters"] == 3 * 4 + 4
    assert line_of(report, "classes") == "road, roof, grass, tree"
    assert line_of(report, "value range") == "0, 255"


def test_lists_of_lists_can_be_distinguished(model_file, tmp_path):
    model = geoseg.load_model(model_file)
    path = tmp_path / "trained.safetensors"
    card = model.card
    geoseg.save_model(
        model.net,
        path,
        classes=card.classes.names,
        bands=card.bands,
        value_range=card.value_range,
        mean=card.mean,
        std=card.std,
        window=32,
        overlap=8,
        training={"confusion_matrix": [[1, 2], [3, 4]]},
    )
    assert line_of(run(path), "training") == "confusion_matrix [1, 2], [3, 4]"


def test_a_raster_shows_its_place_to_the_last_digit(make_raster):
    report = run(make_raster(transform=from_origin(2_679_062.5, 1_248_000.25, 0.1, 0.1)))
    assert line_of(report, "transform") == "0.1, 0, 2679062.5, 0, -0.1, 1248000.25"


@pytest.mark.parametrize(
    ("bands", "profile", "masked", "expected"),
    [
        (3, {}, False, "none"),
        (3, {"nodata": 0}, False, "nodata"),
        (4, {"photometric": "RGB", "alpha": "YES"}, False, "alpha (band 4)"),
        (3, {}, True, "mask"),
    ],
)
def test_a_raster_shows_what_masks_it(make_raster, bands, profile, masked, expected):
    path = make_raster(bands=bands, **profile)
    if masked:
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
            file.write_mask(np.eye(*file.shape) > 0)
    assert line_of(run(path), "masked by") == expected


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"nothing\.tif: no such file or folder; check the path"):
        run(tmp_path / "nothing.tif")


def test_a_raster_shows_descriptions_and_colours_of_its_bands(make_raster):
    path = make_raster()
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("nir", "red", "green")
    assert line_of(run(path), "band names") == "nir, red, green"
    assert line_of(run(path), "band colors") == "red, green, blue"
