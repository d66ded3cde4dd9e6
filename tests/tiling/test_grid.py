from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import TilingError
from geoseg.tiling import Cells, TileGrid, Window


@st.composite
def grids(draw, stitch=None):
    window = draw(st.integers(1, 16))
    return TileGrid(
        height=draw(st.integers(1, 40)),
        width=draw(st.integers(1, 40)),
        window=window,
        overlap=draw(st.integers(0, window - 1)),
        stitch=stitch or draw(st.sampled_from(["blend", "crop"])),
    )


@given(grids())
def test_windows_cover_every_pixel_and_start_on_the_stride_except_the_last(grid):
    for starts, length in ((grid.row_starts, grid.height), (grid.col_starts, grid.width)):
        assert all(start == index * grid.stride for index, start in enumerate(starts[:-1]))
        assert starts[0] == 0
        assert starts[-1] == max(0, length - grid.window)
        assert all(second - first <= grid.stride for first, second in pairwise(starts))


@given(grids(), st.one_of(st.just("auto"), st.integers(3, 50)), st.integers(1, 4))
def test_blocks_tile_the_raster_and_bands_tile_each_block(grid, block, classes):
    seen = np.zeros((grid.height, grid.width), int)
    for piece in grid.blocks(block, classes=classes):
        for lattice_row, band in piece.bands():
            seen[band.slices()] += 1
            assert lattice_row in piece.rows_for(band)
            assert piece.rows_for(band)[-1] == lattice_row
        assert piece.tallest_band == max(band.height for _, band in piece.bands())
        assert piece.band_tops == [band.row for _, band in piece.bands()]
    assert (seen == 1).all()


@given(grids(stitch="blend"), st.integers(3, 50))
def test_a_block_runs_exactly_the_windows_that_touch_it(grid, block):
    for piece in grid.blocks(block):
        for row in range(len(grid.row_starts)):
            for col in range(len(grid.col_starts)):
                touches = grid.window_at(row, col).intersect(piece.area) is not None
                assert touches == (row in piece.lattice_rows and col in piece.lattice_cols)


@given(grids(stitch="crop"))
def test_each_pixel_belongs_to_the_window_with_the_nearest_centre_ties_to_the_lower_index(grid):
    for starts, edges, length in (
        (grid.row_starts, grid.row_edges, grid.height),
        (grid.col_starts, grid.col_edges, grid.width),
    ):
        # Doubled distances between pixel centres and window centres, in whole numbers.
        distance = np.abs(
            2 * np.arange(length)[:, None]
            + 1
            - (2 * np.array(starts)[None, :] + min(grid.window, length))
        )
        owner = np.searchsorted(edges, np.arange(length), side="right") - 1
        np.testing.assert_array_equal(owner, distance.argmin(1))


@given(grids(stitch="crop"), st.integers(3, 50))
def test_crop_runs_every_window_once_whatever_the_blocks(grid, block):
    runs = sum(len(piece.lattice_rows) * len(piece.lattice_cols) for piece in grid.blocks(block))
    assert runs == len(grid)


def forwards(grid, **options):
    return sum(
        len(block.lattice_rows) * len(block.lattice_cols) for block in grid.blocks(**options)
    )


def test_default_blocks_on_20000_square_cost_two_percent():
    grid = TileGrid(20_000, 20_000, 512, 128)
    assert [block.area.width for block in grid.blocks(classes=6)] == [9984, 10_016]
    assert forwards(grid, classes=6) / len(grid) == pytest.approx(53 / 52)
    assert forwards(grid, block=2048) / len(grid) == pytest.approx(1.38, abs=0.01)
    assert forwards(grid, block=4096) / len(grid) == pytest.approx(1.16, abs=0.01)


def test_a_block_that_spans_the_raster_costs_nothing():
    grid = TileGrid(4096, 4096, 512, 128)
    assert len(grid.blocks()) == 1
    assert forwards(grid) == len(grid)


@pytest.mark.parametrize(
    ("width", "options", "strips"),
    [
        # 128 MiB hold 65,536 columns of 512 float32, or 8,192 of eight classes.
        (65_536, {}, 1),
        (65_537, {}, 2),
        (8192, {"classes": 8}, 1),
        (8193, {"classes": 8}, 2),
    ],
)
def test_strips_are_as_few_as_memory_allows(width, options, strips):
    assert len(TileGrid(600, width, 512, 128).blocks(**options)) == strips


@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(2, 12),
    st.data(),
    st.sampled_from(["blend", "crop"]),
)
def test_small_blocks_take_the_windows_that_seams_can_pay_for(height, width, window, data, stitch):
    grid = TileGrid(height, width, window, data.draw(st.integers(0, window - 1)), stitch)
    most = data.draw(st.integers(1, 500))
    blocks = grid.small_blocks(most)
    painted = np.zeros((height, width), int)
    for block in blocks:
        area = block.area
        painted[area.row : area.row_end, area.col : area.col_end] += 1
    assert (painted == 1).all()
    # A raster's last window is slid inward, so that some cut is a little dearer than the others.
    total = sum(len(block.lattice_rows) * len(block.lattice_cols) for block in blocks)
    slid = window * (len(grid.row_starts) + len(grid.col_starts))
    assert total <= 1.1 * len(grid) + (slid if len(blocks) > 1 else 0)


@pytest.mark.parametrize(
    ("side", "most", "blocks", "price"),
    [
        (4096, 121, 1, 1.0),  # 11 x 11 windows
        (40_000, 2_000, 6, 1.1),  # of 104 x 104 windows, 36 x 53
        (40_000, 100, 25, 1.1),  # so small ones would cost more: as small as 1.10 allows
        (40_000, 11_000, 1, 1.0),
    ],
)
def test_a_block_takes_as_many_windows_as_wanted_where_that_is_cheap(side, most, blocks, price):
    grid = TileGrid(side, side, 512, 128)
    cut = grid.small_blocks(most)
    windows = [len(block.lattice_rows) * len(block.lattice_cols) for block in cut]
    assert len(cut) >= blocks
    assert sum(windows) <= price * len(grid) * 1.01
    assert max(windows) <= most * 1.05 or sum(windows) > 1.05 * len(grid)


def encoded(blocks):
    """Pixels of the cells that all blocks see, without halo."""
    grid = blocks[0].grid
    cells = 0
    for block in blocks:
        first = grid.window_at(block.lattice_rows[0], block.lattice_cols[0])
        last = grid.window_at(block.lattice_rows[-1], block.lattice_cols[-1])
        down = grid.cells.covering(first.row, last.row_end)
        cells += len(down) * len(grid.cells.covering(first.col, last.col_end))
    return cells


@pytest.mark.parametrize("cell", [512, 1024])
@pytest.mark.parametrize("side", [8192, 20_000])
@pytest.mark.parametrize("most", [50, 400])
def test_small_blocks_encode_a_cell_a_quarter_more_often_at_most(cell, side, most):
    grid = TileGrid(side, side, 512, 128, "blend", 8, Cells(cell, 64))
    cut = grid.small_blocks(most, classes=6)
    assert len(cut) > 1
    # A block's cells are counted in whole ones.
    assert encoded(cut) <= 1.25 * encoded(grid.blocks(side)) * 1.02


def test_blocks_meet_where_the_windows_of_both_see_one_cell():
    grid = TileGrid(600, 20_000, 512, 128, "blend", 8, Cells(1024, 64))
    cut = grid.blocks(classes=6, widest=5200)
    assert len(cut) == 4
    assert encoded(cut) == encoded(grid.blocks(20_000)) + 3


def test_strips_are_narrower_where_the_maps_that_windows_share_are_large():
    grid = TileGrid(600, 20_000, 512, 128, "blend", 8, Cells(1024, 64))
    assert grid.widest_strip(6) == grid.widest_strip(6, 0.1) == 10_922
    # 192 MiB hold 5,377 columns of 512 sums of 6 classes and 1,536 pixels of maps.
    assert grid.widest_strip(6, 16.375) == 5377
    assert grid.widest_strip(6, 1000.0) == 4096
    whole = TileGrid(600, 20_000, 512, 128)
    assert whole.widest_strip(6, 1000.0) == 10_922


def test_a_block_may_be_one_pixel():
    areas = [block.area for block in TileGrid(1, 2, 2, 0).blocks(1)]
    assert areas == [Window(0, 0, 1, 1), Window(0, 1, 1, 1)]


def test_many_classes_never_make_strips_narrower_than_4096():
    assert len(TileGrid(600, 12_288, 512, 128).blocks(classes=250)) == 3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((0, 5, 4, 1), "0 x 5 pixels is empty"),
        ((5, 5, 0, 0), "window=0 pixels; use 1 or more"),
        ((5, 5, 4, 4), "overlap=4 does not fit window=4; use 0 to 3"),
        ((5, 5, 4, -1), "overlap=-1 does not fit window=4"),
        ((5, 5, 4, 1, "mean"), "stitch='mean' is unknown; use 'blend' or 'crop'"),
    ],
)
def test_nonsense_is_refused_at_birth(fields, message):
    with pytest.raises(TilingError, match=message):
        TileGrid(*fields)


def test_a_block_below_one_pixel_is_refused():
    with pytest.raises(TilingError, match="block=0 pixels; use 1 or more, or 'auto'"):
        TileGrid(5, 5, 4, 1).blocks(0)


def test_a_window_reaches_no_further_than_a_small_raster():
    assert TileGrid(1, 700, 512, 128).window_at(0, 1) == Window(0, 188, 1, 512)
