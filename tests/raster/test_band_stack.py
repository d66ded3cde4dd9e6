"""The bands of several files as those of one raster, compared with the files themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio import Affine
from rasterio.transform import from_bounds
from rasterio.warp import transform_bounds

import geoseg
from geoseg.errors import ConfigError, SourceError
from geoseg.raster import Source, check_source, refuse_impossible
from geoseg.raster.undeclared import PREDICT
from tests.conftest import GRID

Make = Callable[..., Path]
RNG = np.random.default_rng(5)
RGB = RNG.integers(0, 255, (3, 64, 80)).astype(np.uint8)
HEIGHTS = RNG.uniform(200, 300, (1, 64, 80)).astype(np.float32)
HEIGHTS[0, 10:14, 20:50] = -9999
COLORS = {"photometric": "rgb"}


@pytest.fixture
def pair(make_raster: Make) -> tuple[Path, Path]:
    """An orthophoto without a corner, and its heights with a hole."""
    data = RGB.copy()
    data[:, :9, :9] = 0
    ortho = make_raster("a.tif", data=data, nodata=0, **COLORS)
    return ortho, make_raster("a_dsm.tif", data=HEIGHTS, nodata=-9999)


def read(source: Source) -> tuple[np.ndarray, np.ndarray]:
    with source.open() as reader:
        return reader.read(0, 0, source.height, source.width)


def test_bands_are_those_of_the_files_and_pixels_valid_in_all_of_them(
    pair: tuple[Path, Path],
) -> None:
    source = geoseg.stack(pair)
    pixels, valid = read(source)
    assert (pixels.dtype, source.band_names) == (np.float32, ("red", "green", "blue", "dsm"))
    expected = []
    masks = []
    for path in pair:
        with rasterio.open(path) as file:
            expected.append(file.read().astype(np.float32))
            masks.append(file.dataset_mask() > 0)
    np.testing.assert_array_equal(valid, masks[0] & masks[1])
    np.testing.assert_array_equal(pixels[:, valid], np.concatenate(expected)[:, valid])
    assert source.warnings == ()


def test_a_window_holds_the_pixels_of_the_whole(pair: tuple[Path, Path], make_raster: Make) -> None:
    coarse = make_raster("c.tif", data=HEIGHTS[:, ::2, ::2], transform=GRID @ Affine.scale(2))
    source = geoseg.stack([*pair, coarse])
    whole, every = read(source)
    with source.open() as reader:
        for row, col, height, width in [(0, 0, 9, 9), (5, 11, 40, 60), (63, 79, 1, 1)]:
            out = np.full((5, height, width), 7, np.float32)
            found, valid = reader.read(row, col, height, width, out=out)
            area = slice(row, row + height), slice(col, col + width)
            assert found is out
            np.testing.assert_array_equal(valid, every[area])
            np.testing.assert_array_equal(found[:, valid], whole[:, *area][:, valid])


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.5])
@pytest.mark.parametrize("shift", [0.0, 0.35])
def test_a_file_on_another_grid_is_interpolated_between_its_pixels(
    make_raster: Make, factor: float, shift: float
) -> None:
    def height(axis: int, places: np.ndarray) -> np.ndarray:
        return 125 + 20 * np.sin(places / (9 - 2 * axis))

    # Its pixels' centres on the rows and columns of the orthophoto; heights are those of the row
    # plus those of the column, so that both are interpolated by themselves.
    own = [(np.arange(count / factor + 8) - 1.5) * factor + shift for count in (64, 80)]
    place = GRID @ Affine.translation(shift - 2 * factor, shift - 2 * factor) @ Affine.scale(factor)
    data = np.add.outer(height(0, own[0]), height(1, own[1]))[None].astype(np.float32)
    ortho = make_raster("a.tif", data=RGB, **COLORS)
    source = geoseg.stack([ortho, make_raster("a_dsm.tif", data=data, transform=place)])
    pixels, valid = read(source)
    expected = [
        height(axis, np.arange(count) + 0.5)
        if factor < 1  # means of several
        else np.interp(np.arange(count) + 0.5, own[axis], height(axis, own[axis]))
        for axis, count in enumerate((64, 80))
    ]
    assert valid.all()
    np.testing.assert_array_equal(pixels[:3], RGB)
    error = np.abs(pixels[3] - np.add.outer(*expected)).max()
    assert error < (0.2 if factor < 1 else 0.01)
    moved = f"dsm: resampled to its pixels from those of a file of {0.5 * factor:g}"
    on_grid = factor == 1 and not shift
    assert source.warnings == (() if on_grid else (f"{ortho}: {moved}",))


def test_another_coordinate_system_is_brought_there_too(make_raster: Make) -> None:
    ortho = make_raster("a.tif", data=RGB, **COLORS)
    around = transform_bounds("EPSG:32632", "EPSG:4326", 499_980, 5_399_950, 500_060, 5_400_020)
    degrees = from_bounds(*around, 300, 90)
    data = np.full((1, 90, 300), 260, np.float32)
    beside = make_raster("a_dsm.tif", data=data, crs="EPSG:4326", transform=degrees)
    pixels, valid = read(geoseg.stack([ortho, beside]))
    assert valid.all()
    np.testing.assert_allclose(pixels[3], 260, rtol=1e-6)


def test_bands_are_chosen_across_files_by_name_and_number(make_raster: Make) -> None:
    data = np.concatenate([RGB, np.full((1, 64, 80), 255, np.uint8)])
    data[3, :5] = 0
    ortho = make_raster("a.tif", data=data, photometric="rgb", alpha="yes")
    beside = make_raster("a_dsm.tif", data=np.concatenate([HEIGHTS, HEIGHTS + 50]))
    whole = geoseg.stack([ortho, beside])
    assert (whole.bands, whole.band_names[3:]) == ((1, 2, 3, 5, 6), ("dsm_1", "dsm_2"))
    chosen = geoseg.stack([ortho, beside], bands=["dsm_2", 1])
    assert chosen.bands == (6, 1)
    pixels, valid = read(chosen)
    assert not valid[:5].any()
    np.testing.assert_array_equal(pixels[:, 20], np.stack([HEIGHTS[0, 20] + 50, RGB[0, 20]]))
    # A file of which no band is read masks nothing and is none of the raster's files.
    alone = geoseg.stack([ortho, beside], wanted=["red", "green", "blue"])
    assert (alone.files, alone.dtype) == ((ortho,), "uint8")
    assert "bands 1,2,3 (red, green, blue) are chosen by name" in alone.warnings[0]
    with pytest.raises(SourceError, match=r"asks for band 7, the file has 6 .*dsm_1, dsm_2"):
        geoseg.stack([ortho, beside], bands=[7])


def test_where_a_file_does_not_reach_there_is_no_data_and_it_is_said(make_raster: Make) -> None:
    ortho = make_raster("a.tif", data=RGB, **COLORS)
    beside = make_raster(
        "a_dsm.tif", data=HEIGHTS[:, 16:], transform=GRID @ Affine.translation(20, 16)
    )
    source = geoseg.stack([ortho, beside])
    pixels, valid = read(source)
    assert valid[16:, 20:].all()
    assert valid.sum() == 48 * 60
    np.testing.assert_array_equal(pixels[3, 16:, 20:], HEIGHTS[0, 16:, :60])
    assert source.warnings == (
        f"{ortho}: dsm: a file that covers 56.250% of it; there is no data elsewhere",
    )
    far = make_raster("b_dsm.tif", data=HEIGHTS, transform=GRID @ Affine.translation(500, 0))
    with pytest.raises(SourceError, match=r"b_dsm\.tif: .* lies nowhere on a\.tif"):
        geoseg.stack([ortho, far])


def test_pictures_without_a_place_need_the_same_size(make_raster: Make) -> None:
    nowhere = {"crs": None, "transform": None}
    ortho = make_raster("a.tif", data=RGB, **nowhere)
    same = make_raster("a_dsm.tif", data=HEIGHTS, **nowhere)
    assert read(geoseg.stack([ortho, same]))[0].shape == (4, 64, 80)
    other = make_raster("b_dsm.tif", data=HEIGHTS[:, 1:], **nowhere)
    with pytest.raises(
        SourceError, match=r"b_dsm\.tif: 63 x 80 .* does not lie on a\.tif .*; give"
    ):
        geoseg.stack([ortho, other])


def test_a_change_of_any_file_is_seen(pair: tuple[Path, Path]) -> None:
    source = geoseg.stack(pair)
    before = source.see()
    assert before.fingerprint == source.see().fingerprint
    assert not before.has_changed()
    with rasterio.open(pair[1], "r+") as file:
        file.write(HEIGHTS + 1)
    assert before.has_changed()
    assert source.see().fingerprint != before.fingerprint


def test_values_are_compared_file_by_file_and_advice_is_about_the_file(
    make_raster: Make, pair: tuple[Path, Path]
) -> None:
    ranges = ((0, 255), (0, 255), (0, 255), (150, 400))
    names = ("red", "green", "blue", "dsm")

    def check(source: Source) -> list[str]:
        return check_source(source, bands=names, value_range=ranges, ground_sampling=None)

    assert check(geoseg.stack(pair)) == []
    undeclared = make_raster("b_dsm.tif", data=HEIGHTS)
    source = geoseg.stack([pair[0], undeclared])
    # No option speaks of a file beside the image: the copy that is advised declares its values.
    message = r"b_dsm\.tif: of .* 120 are -9999, .*if they mean no data, make them NaN in a copy \("
    with pytest.raises(SourceError, match=message):
        check(source)
    pixels, valid = read(source)
    with pytest.raises(SourceError, match=r"b_dsm\.tif: holds .* beyond 150 to 400 in band 1 "):
        refuse_impossible(source, pixels, valid, ranges, PREDICT, (0, 0))
    given = np.where(HEIGHTS == -9999, np.nan, HEIGHTS)
    assert check(geoseg.stack([pair[0], make_raster("c_dsm.tif", data=given)])) == []


def test_a_damaged_file_is_named(pair: tuple[Path, Path]) -> None:
    source = geoseg.stack(pair)
    pair[1].write_bytes(pair[1].read_bytes()[:400])
    with pytest.raises(SourceError, match=r"a_dsm\.tif"):
        read(source)


def test_one_file_alone_is_itself_and_none_is_refused(pair: tuple[Path, Path]) -> None:
    assert geoseg.stack(pair[:1]) == geoseg.open_raster(pair[0])
    with pytest.raises(ConfigError, match="no path is given"):
        geoseg.stack([])
