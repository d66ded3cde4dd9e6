"""Values that are stored as a negative (MinIsWhite), whatever file leads to them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely

from geoseg.errors import SourceError
from geoseg.raster import open_raster

Make = Callable[..., Path]


def negative(make: Make, dtype: str = "uint8", **profile: object) -> Path:
    return make("negative.tif", dtype=dtype, photometric="MINISWHITE", bands=1, **profile)


@pytest.mark.parametrize(
    ("dtype", "profile", "white"),
    [("uint8", {}, 255), ("uint16", {}, 65_535), ("uint16", {"nbits": 12}, 4095)],
)
def test_a_negative_is_turned_round_and_says_so(
    make_raster: Make, dtype: str, profile: dict[str, int], white: int
) -> None:
    path = negative(make_raster, dtype=dtype, **profile)
    source = open_raster(path)
    assert "negative (MinIsWhite, 0 is white); its values are turned round" in source.warnings[0]
    with rasterio.open(path) as file, source.open() as reader:
        pixels, _ = reader.read(3, 5, 20, 30)
        np.testing.assert_array_equal(pixels, white - file.read()[:, 3:23, 5:35])


def test_labels_that_are_stored_as_a_negative_stay_as_they_are_and_say_so(
    make_raster: Make,
) -> None:
    path = negative(make_raster)
    source = open_raster(path, as_stored=True)
    assert "its values are taken as stored" in source.warnings[0]
    with rasterio.open(path) as file, source.open() as reader:
        np.testing.assert_array_equal(reader.read(0, 0, 64, 80)[0], file.read())


def test_the_nodata_value_of_a_negative_is_the_files_and_is_turned_round_too(
    make_raster: Make,
) -> None:
    data = np.full((1, 64, 80), 7, np.uint8)
    data[0, 0] = 200
    source = open_raster(negative(make_raster, data=data, nodata=200))
    with source.open() as reader:
        pixels, valid = reader.read(0, 0, 2, 80)
    assert not valid[0].any()
    assert valid[1].all()
    assert source.nodata == pixels[0, 0, 0] == 55


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_a_negative_whose_type_names_no_black_says_that_it_stays(
    make_raster: Make, dtype: str
) -> None:
    path = negative(make_raster, dtype=dtype)
    source = open_raster(path)
    assert "its values are taken as stored, as their type does not say which" in source.warnings[0]
    with rasterio.open(path) as file, source.open() as reader:
        np.testing.assert_array_equal(reader.read(0, 0, 64, 80)[0], file.read())


def vrt(path: Path, *names: str, inside: str = "", kind: str = "Simple") -> Path:
    """A VRT over grey images of 64 x 80 pixels, one above the other."""
    rects = [
        f'<SrcRect xOff="0" yOff="0" xSize="80" ySize="64"/>'
        f'<DstRect xOff="0" yOff="{64 * at}" xSize="80" ySize="64"/>'
        for at in range(len(names))
    ]
    sources = "".join(
        f'<{kind}Source><SourceFilename relativeToVRT="1">{name}</SourceFilename>{rect}{inside}'
        f"</{kind}Source>"
        for name, rect in zip(names, rects, strict=True)
    )
    path.write_text(
        f'<VRTDataset rasterXSize="80" rasterYSize="{64 * len(names)}">'
        f'<VRTRasterBand dataType="UInt16" band="1">{sources}</VRTRasterBand></VRTDataset>'
    )
    return path


@pytest.mark.parametrize(
    ("dtype", "profile"),
    [("uint8", {}), ("uint16", {"nbits": 12}), ("uint8", {"endianness": "big", "bigtiff": "yes"})],
)
@pytest.mark.parametrize("levels", [1, 2])
def test_a_vrt_of_a_negative_gives_the_values_of_the_negative(
    make_raster: Make, tmp_path: Path, dtype: str, profile: dict[str, object], levels: int
) -> None:
    direct = open_raster(negative(make_raster, dtype=dtype, **profile))
    path = vrt(tmp_path / "1.vrt", "negative.tif")
    if levels == 2:
        path = vrt(tmp_path / "2.vrt", "1.vrt")
    source = open_raster(path)
    assert "is made of negatives (MinIsWhite, 0 is white: negative.tif)" in source.warnings[0]
    assert "turned round, so that bright is high" in source.warnings[0]
    with source.open() as reader, direct.open() as expected:
        pixels, _ = expected.read(0, 0, 64, 80)
        np.testing.assert_array_equal(reader.read(0, 0, 64, 80)[0], pixels)


def test_a_vrt_of_negatives_and_others_is_refused_but_as_labels(
    make_raster: Make, tmp_path: Path
) -> None:
    negative(make_raster)
    make_raster("positive.tif", bands=1)
    path = vrt(tmp_path / "a.vrt", "negative.tif", "positive.tif")
    with pytest.raises(SourceError, match=r"mixes negatives .*negative\.tif.*positive\.tif"):
        open_raster(path)
    assert open_raster(path, as_stored=True).white is None


def test_a_vrt_that_turns_a_negative_round_itself_is_left_alone_and_says_so(
    make_raster: Make, tmp_path: Path
) -> None:
    path = negative(make_raster)
    scale = "<ScaleOffset>255</ScaleOffset><ScaleRatio>-1</ScaleRatio>"
    source = open_raster(vrt(tmp_path / "a.vrt", "negative.tif", inside=scale, kind="Complex"))
    assert "it computes others from their values, taken as they are" in source.warnings[0]
    with source.open() as reader, rasterio.open(path) as file:
        np.testing.assert_array_equal(reader.read(0, 0, 64, 80)[0], 255 - file.read())


def test_a_vrt_of_other_images_says_nothing(make_raster: Make, tmp_path: Path) -> None:
    make_raster("positive.tif", bands=1, crs="EPSG:32632")
    notes = open_raster(vrt(tmp_path / "a.vrt", "positive.tif")).notes
    assert not notes


def test_a_tile_index_of_negatives_gives_the_values_of_the_negatives(
    make_raster: Make, tmp_path: Path
) -> None:
    tile = negative(make_raster)
    with rasterio.open(tile) as file:
        box, expected = shapely.box(*file.bounds), 255 - file.read()
    pyogrio.raw.write(
        str(tmp_path / "tiles.gti.gpkg"),
        np.array([shapely.to_wkb(box)], object),
        [np.array([str(tile)], object)],
        ["location"],
        geometry_type="Polygon",
        crs="EPSG:32632",
        driver="GPKG",
    )
    source = open_raster(tmp_path / "tiles.gti.gpkg")
    assert "is made of negatives (MinIsWhite, 0 is white: negative.tif)" in source.warnings[0]
    with source.open() as reader:
        np.testing.assert_array_equal(reader.read(0, 0, 64, 80)[0], expected)
