from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rasterio.transform import Affine, from_origin

from geoseg.errors import SourceError
from geoseg.raster import Resampled, describe_grid, open_raster, same_grid

Make = Callable[..., Path]
PLACE = from_origin(500_000.0, 5_400_000.0, 0.5, 0.5)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({}, True),
        ({"transform": PLACE * Affine.translation(0.01, 0)}, True),
        ({"transform": PLACE * Affine.translation(0.5, 0)}, False),
        ({"transform": PLACE * Affine.scale(1.01)}, False),
        ({"transform": PLACE * Affine.scale(1, -1)}, False),
        ({"crs": "EPSG:32633"}, False),
        ({"crs": None}, True),
        ({"crs": None, "transform": None}, True),
        ({"height": 63}, False),
        ({"height": 63, "crs": None, "transform": None}, False),
    ],
)
def test_size_place_and_crs_decide_where_both_have_them(
    make_raster: Make, other: dict, same: bool
) -> None:
    one, two = open_raster(make_raster("a.tif")), open_raster(make_raster("b.tif", **other))
    assert same_grid(one, two) == same_grid(two, one) == same


def test_grids_are_described(make_raster: Make) -> None:
    assert (
        describe_grid(open_raster(make_raster()))
        == "64 x 80 pixels of 0.5 from (500000, 5400000) in EPSG:32632"
    )
    oblong = make_raster("b.tif", crs=None, transform=PLACE * Affine.scale(1, 2))
    assert (
        describe_grid(open_raster(oblong))
        == "64 x 80 pixels of 0.5 x 1 from (500000, 5400000) without CRS"
    )
    bare = make_raster("c.tif", crs=None, transform=None)
    assert describe_grid(open_raster(bare)) == "64 x 80 pixels without georeferencing"


def test_resampling_takes_the_nearest_pixel_and_255_beyond(make_raster: Make) -> None:
    labels = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)
    source = open_raster(make_raster("a.tif", data=labels))
    shifted = PLACE * Affine.translation(-2.3, 3.4)
    grid = open_raster(make_raster("b.tif", height=10, width=9, transform=shifted))
    with Resampled(source, grid) as reader:
        pixels, valid = reader.read(0, 0, 10, 9)
    for row, col in np.ndindex(10, 9):
        r, c = int(np.floor(row + 3.4 + 0.5)), int(np.floor(col - 2.3 + 0.5))
        inside = 0 <= r < 8 and 0 <= c < 8
        assert pixels[0, row, col] == (labels[0, r, c] if inside else 255)
        assert valid[row, col] == inside


def test_a_raster_without_place_cannot_be_resampled(make_raster: Make) -> None:
    source, bare = open_raster(make_raster("a.tif")), open_raster(make_raster("b.tif", crs=None))
    with pytest.raises(SourceError, match="without CRS cannot be resampled; give it a place"):
        Resampled(source, bare)
