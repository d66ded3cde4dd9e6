from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rasterio.crs import CRS
from rasterio.transform import Affine, from_origin

from geoseg.errors import SourceError
from geoseg.raster import WarpedReader, describe_grid, open_raster, same_grid

Make = Callable[..., Path]
PLACE = from_origin(500_000.0, 5_400_000.0, 0.5, 0.5)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({}, True),
        ({"transform": PLACE @ Affine.translation(0.01, 0)}, True),
        ({"transform": PLACE @ Affine.translation(0.09, 0)}, True),
        ({"transform": PLACE @ Affine.translation(0.11, 0)}, False),
        ({"transform": PLACE @ Affine.translation(0, -0.11)}, False),
        ({"transform": PLACE @ Affine.translation(0.5, 0)}, False),
        ({"transform": PLACE @ Affine.scale(1, 1.002)}, False),
        ({"transform": PLACE @ Affine.scale(1.001, 1)}, True),
        ({"transform": PLACE @ Affine.scale(1.01)}, False),
        ({"transform": PLACE @ Affine.scale(1, -1)}, False),
        ({"crs": "EPSG:32633"}, False),
        ({"crs": "EPSG:32632+5773"}, True),
        ({"crs": None}, True),
        ({"crs": None, "transform": None}, True),
        ({"height": 63}, False),
        ({"width": 79}, False),
        ({"height": 63, "crs": None, "transform": None}, False),
    ],
)
def test_size_place_and_crs_decide_where_both_have_them(
    make_raster: Make, other: dict, same: bool
) -> None:
    one, two = open_raster(make_raster("a.tif")), open_raster(make_raster("b.tif", **other))
    assert same_grid(one, two) == same_grid(two, one) == same


def test_corners_may_differ_by_just_a_tenth_of_a_pixel(make_raster: Make) -> None:
    # In pixels of 1 from 0, the difference of the first corners is 0.1 to the last bit.
    paths = [
        make_raster(name, transform=Affine(1, 0, x, 0, -1, 64))
        for name, x in (("a.tif", 0.0), ("b.tif", 0.1))
    ]
    assert same_grid(*map(open_raster, paths))


def test_grids_are_described(make_raster: Make) -> None:
    assert (
        describe_grid(open_raster(make_raster()))
        == "64 x 80 pixels of 0.5 from (500000, 5400000) in EPSG:32632"
    )
    high = make_raster("h.tif", crs="EPSG:25832+7837")
    assert describe_grid(open_raster(high)).endswith(" in ETRS89 / UTM zone 32N + DHHN2016 height")
    oblong = make_raster("b.tif", crs=None, transform=PLACE @ Affine.scale(1, 2))
    assert (
        describe_grid(open_raster(oblong))
        == "64 x 80 pixels of 0.5 x 1 from (500000, 5400000) without CRS"
    )
    for scale, pixels in (((-1, 1), "0.5"), ((-1, -2), "0.5 x 1")):
        mirrored = make_raster("d.tif", transform=PLACE @ Affine.scale(*scale))
        assert f"pixels of {pixels} from" in describe_grid(open_raster(mirrored))
    bare = make_raster("c.tif", crs=None, transform=None)
    assert describe_grid(open_raster(bare)) == "64 x 80 pixels without georeferencing"


def test_resampling_takes_the_nearest_pixel_and_255_beyond(make_raster: Make) -> None:
    labels = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)
    source = open_raster(make_raster("a.tif", data=labels))
    shifted = PLACE @ Affine.translation(-2.3, 3.4)
    grid = open_raster(make_raster("b.tif", height=10, width=9, transform=shifted))
    with WarpedReader(source, grid) as reader:
        pixels, valid = reader.read(0, 0, 10, 9)
        part, part_valid = reader.read(3, 1, 4, 6)
    np.testing.assert_array_equal(part, pixels[:, 3:7, 1:7])
    np.testing.assert_array_equal(part_valid, valid[3:7, 1:7])
    for row, col in np.ndindex(10, 9):
        r, c = int(np.floor(row + 3.4 + 0.5)), int(np.floor(col - 2.3 + 0.5))
        inside = 0 <= r < 8 and 0 <= c < 8
        assert pixels[0, row, col] == (labels[0, r, c] if inside else 255)
        assert valid[row, col] == inside


def test_a_raster_without_place_cannot_be_resampled(make_raster: Make) -> None:
    source, bare = open_raster(make_raster("a.tif")), open_raster(make_raster("b.tif", crs=None))
    with pytest.raises(SourceError, match="without CRS cannot be resampled; give it a place"):
        WarpedReader(source, bare)


def test_a_raster_that_gdal_cannot_warp_is_refused_in_one_line(make_raster: Make) -> None:
    moon = CRS.from_proj4("+proj=longlat +R=1737400 +no_defs")
    labels = np.zeros((1, 8, 8), np.uint8)
    source = open_raster(make_raster("a.tif", data=labels))
    grid = open_raster(make_raster("b.tif", crs=moon))
    with pytest.raises(SourceError, match=r"a\.tif: cannot be resampled \(.*\); warp it first$"):
        WarpedReader(source, grid)


@pytest.mark.parametrize("nodata", [3, None])
def test_nodata_of_the_source_is_255_on_the_grid(make_raster: Make, nodata: int | None) -> None:
    labels = np.full((1, 8, 8), 3, np.uint8)
    source = open_raster(make_raster("a.tif", data=labels, nodata=nodata))
    with WarpedReader(source, source) as reader:
        pixels, valid = reader.read(2, 1, 3, 4)
    assert (pixels == (3 if nodata is None else 255)).all()
    assert pixels.shape == (1, 3, 4)
    assert (valid == (nodata is None)).all()


def test_the_band_that_was_chosen_is_resampled(make_raster: Make) -> None:
    source = open_raster(make_raster("a.tif"), bands=(2,))
    with WarpedReader(source, source) as reader, source.open() as plain:
        assert (reader.read(0, 0, 64, 80)[0] == plain.read(0, 0, 64, 80)[0]).all()


def test_the_file_is_closed_after_the_block(make_raster: Make) -> None:
    source = open_raster(make_raster("a.tif"))
    with WarpedReader(source, source) as reader:
        reader.read(0, 0, 1, 1)
    with pytest.raises(SourceError, match="cannot be resampled"):
        reader.read(0, 0, 1, 1)
