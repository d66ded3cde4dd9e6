"""Sheets as one raster: what is read is what was cut, whatever their order."""

from __future__ import annotations

import itertools
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio import Affine
from rasterio.merge import merge

from geoseg.errors import ConfigError, SheetError, SourceError
from geoseg.raster import MosaicSource, OverlapRule, make_mosaic, open_mosaic, open_raster
from geoseg.raster.mosaic import MosaicReader
from tests.conftest import GRID

Make = Callable[..., Path]


def cut(
    make: Make, data: np.ndarray, rows: list[int], cols: list[int], overlap: int = 0, **profile: Any
) -> list[Path]:
    """Sheets whose left and upper borders these are, and the far ends of the last."""
    return [
        make(
            f"sheets/{row}_{col}.tif",
            data=data[:, row : end + overlap, col : right + overlap],
            transform=GRID @ Affine.translation(col, row),
            **profile,
        )
        for row, end in itertools.pairwise(rows)
        for col, right in itertools.pairwise(cols)
    ]


def scene(bands: int = 2, height: int = 61, width: int = 83) -> np.ndarray:
    data = np.random.default_rng(2).integers(1, 255, (bands, height, width)).astype(np.uint8)
    data[:, 20:35, 30:50] = 0
    return data


def read(source: Any) -> tuple[np.ndarray, np.ndarray]:
    with source.open() as reader:
        pixels, valid = reader.read(0, 0, source.height, source.width)
        return pixels, valid


@pytest.mark.parametrize("overlap", [0, 5])
def test_a_raster_cut_into_sheets_is_read_as_if_it_were_whole(
    make_raster: Make, overlap: int
) -> None:
    data = scene()
    whole = open_raster(make_raster("whole.tif", data=data, nodata=0))
    paths = cut(make_raster, data, [0, 17, 40, 61], [0, 30, 31, 83], overlap, nodata=0)
    mosaic = open_mosaic(paths[::-1])
    assert (mosaic.height, mosaic.width, mosaic.transform) == (61, 83, whole.transform)
    pixels, valid = read(whole)
    for source in (mosaic, pickle.loads(pickle.dumps(mosaic))):
        found, found_valid = read(source)
        np.testing.assert_array_equal(found_valid, valid)
        np.testing.assert_array_equal(found, pixels)
    with whole.open() as one, mosaic.open() as many:
        for window in ((0, 0, 1, 1), (16, 29, 3, 3), (39, 80, 22, 3), (5, 30, 50, 1)):
            for expected, got in zip(one.read(*window), many.read(*window), strict=True):
                np.testing.assert_array_equal(got, expected)


def test_gaps_are_no_data_and_a_hole_of_one_sheet_is_filled_by_the_next(make_raster: Make) -> None:
    data = scene()
    holed = data.copy()
    holed[:, 2:9, 3:7] = 0
    paths = [
        make_raster("a.tif", data=holed[:, :20, :20], nodata=0),
        make_raster("b.tif", data=data[:, :20, 5:40], nodata=0, transform=GRID @ shift(5, 0)),
        make_raster("c.tif", data=data[:, 40:, 60:], nodata=0, transform=GRID @ shift(60, 40)),
    ]
    found, valid = read(open_mosaic(paths))
    with rasterio.open(paths[0]) as a, rasterio.open(paths[1]) as b, rasterio.open(paths[2]) as c:
        expected, _ = merge([a, b, c], method="first")
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(valid, expected.any(axis=0))


def shift(cols: float, rows: float) -> Affine:
    return Affine.translation(cols, rows)


@pytest.mark.parametrize(("rule", "top"), [("first", 1), ("newest", 2), ("finest", 1)])
def test_the_rule_says_which_sheet_is_on_top(
    make_raster: Make, rule: OverlapRule, top: int
) -> None:
    one = make_raster("a.tif", data=np.full((1, 8, 8), 1, np.uint8))
    two = make_raster("b.tif", data=np.full((1, 8, 8), 2, np.uint8))
    three = make_raster("c.tif", data=np.full((1, 8, 8), 3, np.uint8))
    with rasterio.open(two, "r+") as file:
        file.update_tags(TIFFTAG_DATETIME="2024:05:01 10:00:00")
    with rasterio.open(one, "r+") as file:
        file.update_tags(TIFFTAG_DATETIME="2019:05:01 10:00:00")
    os.utime(three, (0, 0))
    pixels, _ = read(open_mosaic([three, two, one], overlap_rule=rule))
    assert (pixels == top).all()


def test_small_offsets_are_snapped_and_larger_ones_refused(make_raster: Make) -> None:
    data = scene()
    one = make_raster("a.tif", data=data[:, :, :40])
    near = make_raster("b.tif", data=data[:, :, 40:], transform=GRID @ shift(40.06, 0))
    np.testing.assert_array_equal(read(open_mosaic([one, near]))[0], data)
    far = make_raster("c.tif", data=data, transform=GRID @ shift(40.3, 0))
    with pytest.raises(SourceError, match=r"c.tif: .* sheets lie on one grid, to a tenth"):
        open_mosaic([one, far])
    other = make_raster("d.tif", data=data, crs="EPSG:32633")
    with pytest.raises(SourceError, match=r"d.tif: .* sheets have one coordinate system"):
        open_mosaic([one, other])
    deep = make_raster("e.tif", data=data.astype(np.uint16))
    with pytest.raises(SourceError, match=r"e.tif: 2 bands of uint16, and .*a.tif 2 of uint8"):
        open_mosaic([one, deep])
    with pytest.raises(ConfigError, match="no path is given"):
        open_mosaic([])
    _, misfits = make_mosaic(Path("m"), [open_raster(each) for each in (one, near, far, deep)])
    assert list(misfits) == [far, deep]


def test_more_sheets_than_may_be_open_are_read(
    make_raster: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geoseg.raster.mosaic._MOST_OPEN", 2)
    data = scene()
    mosaic = open_mosaic(cut(make_raster, data, [0, 30, 61], [0, 20, 40, 60, 83]))
    with mosaic.open() as reader:
        assert isinstance(reader, MosaicReader)
        np.testing.assert_array_equal(reader.read(0, 0, 61, 83)[0], data)
        assert len(reader._readers) == 2


def test_a_sheet_that_cannot_be_read_is_named_and_can_be_left_out(make_raster: Make) -> None:
    data = scene()
    paths = cut(make_raster, data, [0, 61], [0, 40, 83])
    mosaic = open_mosaic(paths)
    paths[1].unlink()
    with pytest.raises(SheetError, match=r"0_40\.tif") as caught:
        read(mosaic)
    assert pickle.loads(pickle.dumps(caught.value)).sheet == str(paths[1])
    pixels, valid = read(mosaic.without(str(paths[1])))
    np.testing.assert_array_equal(pixels[:, :, :40], data[:, :, :40])
    assert valid[:, :40].all()
    assert not valid[:, 40:].any()
    with pytest.raises(SourceError, match="none of its sheets can be read"):
        mosaic.without(str(paths[1])).without(str(paths[0]))


def test_the_fingerprint_tells_sheets_places_and_order(make_raster: Make, tmp_path: Path) -> None:
    data = scene()
    paths = cut(make_raster, data, [0, 61], [0, 40, 83], overlap=3)
    first = open_mosaic(paths)
    assert first.see().fingerprint == open_mosaic(paths[::-1]).see().fingerprint
    os.utime(paths[0], (0, 0))
    again = open_mosaic(paths)
    newest = open_mosaic(paths, overlap_rule="newest")
    prints = {each.see().fingerprint for each in (first, again, newest, open_mosaic(paths[:1]))}
    assert len(prints) == 3  # before and after are the same files, looked at now


def test_a_mosaic_of_many_sheets_travels_as_a_reference(make_raster: Make, tmp_path: Path) -> None:
    data = scene()
    mosaic = open_mosaic(cut(make_raster, data, [0, 30, 61], [0, 20, 40, 83]))
    stored = mosaic.stored_in(tmp_path / "work")
    content = pickle.dumps(stored)
    assert len(content) < 400
    back = pickle.loads(content)
    assert isinstance(back, MosaicSource)
    np.testing.assert_array_equal(read(back)[0], data)
    assert pickle.dumps(back) == content
    (file,) = (tmp_path / "work").iterdir()
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    from geoseg.raster.stored import read_source

    read_source.cache_clear()
    with pytest.raises(SourceError, match="this list of sheets is gone or damaged; run the"):
        pickle.loads(content)
    small = open_raster(make_raster("s.tif"))
    assert small.stored_in(tmp_path / "other").reference is None
    assert not (tmp_path / "other").exists()


def test_a_sheet_that_lies_far_from_the_others_is_named_once_the_mosaic_is_nearly_empty(
    make_raster: Make,
) -> None:
    data = scene()
    places = {"a": (0, 0), "b": (0, 83), "c": (61, 0), "z": (-90_000, 100)}
    near, far = [], []
    for name, (row, col) in places.items():
        place = GRID @ Affine.translation(col, row)
        (far if name == "z" else near).append(
            make_raster(f"{name}.tif", data=data, transform=place)
        )
    assert open_mosaic(near).warnings == ()
    (line,) = open_mosaic([*far, *near]).warnings
    assert re.fullmatch(
        r".*: its sheets cover 0\.12\d% of the 90122 x 183 pixels that hold them; .*z\.tif lies "
        "far from others: leave it out if it is no part of this mosaic",
        line,
    )


def test_the_grid_is_that_of_most_sheets_and_a_turned_or_south_up_one_is_called_so(
    make_raster: Make,
) -> None:
    data = scene()
    turned = make_raster("a.tif", data=data, transform=GRID @ Affine.rotation(30))
    upside = make_raster("b.tif", data=data, transform=Affine(0.5, 0, 5e5, 0, 0.5, 5.4e6))
    most = [
        make_raster(f"{name}.tif", data=data, transform=GRID @ Affine.translation(83 * number, 0))
        for number, name in enumerate("cd")
    ]
    mosaic, misfits = make_mosaic(Path("m"), map(open_raster, [turned, upside, *most]))
    assert [sheet.source.path for sheet in mosaic.sheets] == most
    assert "of 0.5 from (500000, 5400000), turned by -30 degrees, in EPSG" in misfits[turned]
    assert "of 0.5 from (500000, 5400000), south up, in EPSG" in misfits[upside]


def test_sheets_without_a_place_or_coordinate_system_give_no_grid(make_raster: Make) -> None:
    data = scene()
    bare = make_raster("a.tif", data=data, transform=None, crs=None)
    lost = make_raster("b.tif", data=data, crs=None)
    good = make_raster("c.tif", data=data)
    mosaic, misfits = make_mosaic(Path("m"), map(open_raster, [bare, lost, good]))
    assert [sheet.source.path for sheet in mosaic.sheets] == [good]
    assert "a.tif: 61 x 83 pixels without georeferencing is no sheet" in misfits[bare]
    assert "without CRS, and" in misfits[lost]
    assert make_mosaic(Path("m"), [open_raster(lost)])[0].crs is None
    with pytest.raises(SourceError, match=r"a\.tif: .* is no sheet of a mosaic, nor is another"):
        open_mosaic([bare])
