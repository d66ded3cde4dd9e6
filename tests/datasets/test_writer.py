from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.enums import ColorInterp

from geoseg.classes import ClassScheme
from geoseg.datasets import writer
from geoseg.datasets.crops import Crop
from geoseg.datasets.polygon_labels import Polygons
from geoseg.datasets.statistics import Statistics
from geoseg.datasets.tiles import open_labels
from geoseg.datasets.writer import OutputProfile, write_crop
from geoseg.errors import OutputError, SourceError
from geoseg.raster import Source, open_raster
from geoseg.tiling import Window

Make = Callable[..., Path]
SCHEME = ClassScheme(("a", "b"), ((10, 20, 30), (40, 50, 60)), ((0,), (7,)))
CROP = Crop("train", "", Window(5, 9, 40, 50), 44, 53)  # padded by 4 rows and 3 columns


def write(
    image: Source, labels: Path, folder: Path, crop: Crop = CROP, names: tuple[str, ...] = ()
) -> Statistics:
    profile = OutputProfile(image, names or image.band_names, SCHEME)
    files = folder / "image.tif", folder / "labels.tif"
    with image.open() as reader, open_labels(open_raster(labels), image, SCHEME) as opened:
        return write_crop(crop, reader, opened, profile, files)


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(1).choice([0, 7, 255], (1, 64, 80)).astype(np.uint8)


def test_files_hold_the_rectangle_and_zeros_without_label_beyond_it(
    make_raster: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: np.ndarray
) -> None:
    monkeypatch.setattr(writer, "_ROWS", 16)
    monkeypatch.setattr(writer, "_COLS", 32)
    image = open_raster(make_raster(dtype="uint16"))
    found = write(image, make_raster("l.tif", data=values), tmp_path)
    expected = np.full((44, 53), 255, np.uint8)
    expected[:40, :50] = SCHEME.ids_from_values(values[0, 5:45, 9:59])[0]
    with (
        rasterio.open(image.path) as original,
        rasterio.open(tmp_path / "image.tif") as file,
        rasterio.open(tmp_path / "labels.tif") as labels,
    ):
        pixels = original.read()[:, 5:45, 9:59]
        np.testing.assert_array_equal(file.read()[:, :40, :50], pixels)
        assert file.read()[:, 40:].max() == file.read()[:, :, 50:].max() == 0
        np.testing.assert_array_equal(labels.read(1), expected)
        for written in (file, labels):
            assert written.xy(0, 0) == original.xy(5, 9)
            assert (written.crs, written.block_shapes[0]) == (original.crs, (256, 256))
            assert written.compression.name == "deflate"
        assert labels.nodata == 255
        assert labels.descriptions == ("class",)
        assert {index: labels.colormap(1)[index] for index in (0, 1)} == {
            0: (10, 20, 30, 255),
            1: (40, 50, 60, 255),
        }
    whole = Statistics.from_window(pixels, np.ones((40, 50), bool), expected[:40, :50], 2)
    assert found.class_pixels == whole.class_pixels
    np.testing.assert_allclose(found.mean, whole.mean)


@pytest.mark.parametrize(
    ("names", "colors"),
    [
        (("red", "green", "blue"), ["red", "green", "blue"]),
        (("nir", "red", "green"), ["gray", "undefined", "undefined"]),
        (("nir", "undefined", "green"), ["gray", "undefined", "undefined"]),
    ],
)
def test_bands_have_names_and_only_rgb_is_colour(
    make_raster: Make, tmp_path: Path, values: np.ndarray, names: tuple[str, ...], colors: list[str]
) -> None:
    write(open_raster(make_raster()), make_raster("l.tif", data=values), tmp_path, names=names)
    with rasterio.open(tmp_path / "image.tif") as file:
        assert [color.name for color in file.colorinterp] == colors
        assert file.descriptions == tuple(None if name == "undefined" else name for name in names)


@pytest.mark.parametrize(
    ("dtype", "predictor"), [("uint8", "2"), ("uint16", "2"), ("float32", "3")]
)
def test_the_predictor_suits_the_type(
    make_raster: Make, tmp_path: Path, values: np.ndarray, dtype: str, predictor: str
) -> None:
    write(open_raster(make_raster(dtype=dtype)), make_raster("l.tif", data=values), tmp_path)
    with rasterio.open(tmp_path / "image.tif") as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["PREDICTOR"] == predictor


@pytest.mark.parametrize("kind", ["none", "nodata", "alpha", "mask", "two nodata values"])
def test_valid_pixels_stay_valid_and_others_invalid(
    make_raster: Make, tmp_path: Path, values: np.ndarray, kind: str
) -> None:
    data = np.random.default_rng(0).integers(1, 255, (4, 64, 80)).astype(np.uint8)
    hidden = np.arange(80) < 30
    if kind == "alpha":
        data[3] = np.where(hidden, 0, 255)
    options: dict[str, Any] = {"nodata": 0} if kind == "nodata" else {}
    if kind == "nodata":
        data[:, :, hidden] = 0
    path = make_raster(data=data if kind == "alpha" else data[:3], **options)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
        if kind == "alpha":
            names = ("red", "green", "blue", "alpha")
            file.colorinterp = [ColorInterp[name] for name in names]
        if kind == "mask":
            file.write_mask(np.broadcast_to(~hidden, (64, 80)))
    image = open_raster(path)
    if kind == "two nodata values":
        image = open_raster(path)
        validity = type(image.validity)((1.0, 2.0, 3.0))
        image = type(image)(
            **{name: getattr(image, name) for name in image.__dataclass_fields__}
            | {"validity": validity}
        )
    masked = kind in ("alpha", "mask", "two nodata values")
    assert OutputProfile(image, image.band_names, SCHEME).masked is masked
    write(image, make_raster("l.tif", data=values), tmp_path)
    with image.open() as reader:
        _, expected = reader.read(5, 9, 40, 50)
    made = open_raster(tmp_path / "image.tif")
    assert made.nodata == (0 if kind == "nodata" else None)
    with made.open() as reader:
        _, valid = reader.read(0, 0, 40, 50)
    np.testing.assert_array_equal(valid, expected)


def test_invalid_pixels_lose_what_polygons_say_and_keep_what_rasters_say(
    make_raster: Make, tmp_path: Path
) -> None:
    data = np.full((3, 64, 80), 9, np.uint8)
    data[:, :, 20:30] = 0
    image = open_raster(make_raster(data=data, nodata=0))
    everywhere = geopandas.GeoDataFrame({"kind": ["b"]}, geometry=[shapely.box(0, 0, 1e6, 1e7)])
    everywhere.set_crs(image.crs).to_file(tmp_path / "p.gpkg")
    zeros = make_raster("l.tif", data=np.zeros((1, 64, 80), np.uint8))
    crop = Crop("train", "", Window(5, 10, 40, 50), 40, 50)
    for labels, expected in ((Polygons(tmp_path / "p.gpkg", "kind"), 1), (open_raster(zeros), 0)):
        with image.open() as reader, open_labels(labels, image, SCHEME) as opened:
            profile = OutputProfile(image, image.band_names, SCHEME)
            files = tmp_path / "out_image.tif", tmp_path / "out_labels.tif"
            found = write_crop(crop, reader, opened, profile, files)
        with rasterio.open(files[1]) as file:
            ids = file.read(1)
        assert (np.delete(ids, np.s_[10:20], axis=1) == expected).all()
        assert (ids[:, 10:20] == (255 if expected else 0)).all()
        assert found.labelled == 40 * 40


def test_a_raster_without_place_stays_without(
    make_raster: Make, tmp_path: Path, values: np.ndarray
) -> None:
    image = open_raster(make_raster(crs=None, transform=None))
    write(image, make_raster("l.tif", data=values, crs=None, transform=None), tmp_path)
    assert not open_raster(tmp_path / "image.tif").georeferenced


def test_errors_name_what_they_are_of(
    make_raster: Make, tmp_path: Path, values: np.ndarray
) -> None:
    image = open_raster(make_raster())
    with pytest.raises(OutputError, match=r"no/image.tif: cannot be written \(.*\); "):
        write(image, make_raster("l.tif", data=values), tmp_path / "no")
    unknown = make_raster("unknown.tif", data=values + 1)
    with pytest.raises(SourceError, match=r"unknown.tif: rows .* hold value"):
        write(image, unknown, tmp_path)
