"""Rasters that are made of others take little memory for large windows, and pieces change none."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio import Affine

from geoseg.raster import Source, make_mosaic, open_raster, stack
from geoseg.raster.pieces import PiecedReader, Pieces
from geoseg.raster.reprojection import reproject
from geoseg.tiling import Window
from tests.conftest import GRID

Make = Callable[..., Path]
SIDE = 480
TILED = {"tiled": True, "blockxsize": 64, "blockysize": 64}


def raster(make_raster: Make, name: str, moved: Affine, bands: int = 3, **profile: object) -> Path:
    """Noise with a hole; its place is moved on the grid of all."""
    data = np.random.default_rng(len(name)).integers(1, 255, (bands, SIDE, SIDE), np.uint8)
    data[:, 200:300, 240:360] = 0
    return make_raster(name, data=data, nodata=0, transform=GRID @ moved, **profile)


def coarser(make: Make) -> Source:
    return open_raster(raster(make, "a.tif", Affine.identity(), **TILED)).resample(2.6)


def finer(make: Make) -> Source:
    return open_raster(raster(make, "a.tif", Affine.identity())).resample(0.37)


def turned(make: Make) -> Source:
    """Thin pieces of it lie across many pixels below."""
    grid = open_raster(raster(make, "grid.tif", Affine.identity()))
    turned = raster(make, "a.tif", Affine.rotation(31) @ Affine.scale(0.8), **TILED)
    return reproject(open_raster(turned), grid)[0]


def mosaic(make: Make) -> Source:
    places = [Affine.translation(0, 0), Affine.translation(430, 3), Affine.translation(8, 400)]
    paths = [raster(make, f"{n}.tif", place) for n, place in enumerate(places)]
    return make_mosaic(Path("m"), map(open_raster, paths))[0]


def stacked(make: Make) -> Source:
    image = raster(make, "a.tif", Affine.identity())
    return stack([image, raster(make, "a_dsm.tif", Affine.scale(0.7), bands=1, **TILED)])


def mixed(make: Make) -> Source:
    """A mosaic at another ground sampling, of sheets on other grids."""
    places = [Affine.identity(), Affine.translation(320, 9) @ Affine.rotation(3)]
    paths = [raster(make, f"{n}.tif", place) for n, place in enumerate(places)]
    return make_mosaic(Path("m"), map(open_raster, paths), resample=True)[0].resample(1.7)


KINDS = [coarser, finer, turned, mosaic, stacked, mixed]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_windows_of_any_size_take_what_is_counted_and_no_bit_depends_on_pieces(
    make_raster: Make, monkeypatch: pytest.MonkeyPatch, kind: Callable[[Make], Source]
) -> None:
    def read() -> tuple[np.ndarray, np.ndarray]:
        source = kind(make_raster)
        with source.open() as reader:
            reader.read(source.height // 2, source.width // 2, 1, 1)
            tracemalloc.start()
            pixels, valid = reader.read(3, 5, source.height - 3, source.width - 5)
            taken = tracemalloc.get_traced_memory()[1] - pixels.nbytes - valid.nbytes
            tracemalloc.stop()
            assert taken <= source.read_cost.working_bytes
            assert isinstance(reader, PiecedReader)
            reader.pieces = Pieces(977, 13, down_first=not reader.pieces.down_first)
            part, part_valid = reader.read(20, 30, 70, 60)
        np.testing.assert_array_equal(part_valid, valid[17:87, 25:85])
        np.testing.assert_array_equal(part, pixels[:, 17:87, 25:85])
        return pixels, valid

    pixels, valid = read()
    for room in ("pieces", "reprojection", "read_cost"):
        monkeypatch.setattr(f"geoseg.raster.{room}.PIECE_BYTES", 2**19)
    again, valid_again = read()
    np.testing.assert_array_equal(again * valid, pixels * valid)
    np.testing.assert_array_equal(valid_again, valid)
    assert 0.3 < valid.mean() < 1


@given(
    st.integers(1, 40), st.integers(1, 40), st.integers(1, 200), st.integers(1, 9), st.booleans()
)
def test_pieces_cover_a_window_once(
    height: int, width: int, pixels: int, rows: int, down_first: bool
) -> None:
    window, seen = Window(7, 3, height, width), np.zeros((height, width), int)
    for piece in Pieces(max(pixels, rows), rows, down_first).cut(window):
        assert piece.height <= rows
        assert piece.height * piece.width <= max(pixels, rows)
        seen[piece.slices(7, 3)] += 1
    assert (seen == 1).all()


def test_rows_of_wide_striped_files_are_few_and_pieces_of_tiles_follow_downwards() -> None:
    tiled, striped = Pieces.of(100), Pieces.of(100, strip_bytes=2**20)
    assert tiled.down_first
    assert not striped.down_first
    assert (tiled.pixels, striped.rows) == (2**24 // 100, 16)
    assert tiled.rows**2 <= tiled.pixels
    assert Pieces.of(2**30, strip_bytes=2**30) == Pieces(1, 1, down_first=False)
