"""Cells tile a raster, and the windows of a lattice for them start where their maps have places."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import TilingError
from geoseg.tiling import Cells, TileGrid, weight_totals


@given(st.integers(1, 20), st.integers(0, 9), st.integers(1, 90), st.data())
def test_cells_that_cover_an_interval_do_so_once_and_none_lies_beside_it(size, halo, length, data):
    cells = Cells(size, halo)
    first = data.draw(st.integers(0, length - 1))
    end = data.draw(st.integers(first + 1, length))
    cores = [cells.core(cell, length) for cell in cells.covering(first, end)]
    assert all(before[1] == after[0] for before, after in pairwise(cores))
    assert cores[0][0] <= first < cores[0][1]
    assert cores[-1][0] < end <= cores[-1][1]


@given(st.integers(1, 20), st.integers(0, 30), st.integers(1, 90))
def test_a_cell_sees_its_halo_as_far_as_the_raster_goes(size, halo, length):
    cells = Cells(size, halo)
    for cell in cells.covering(0, length):
        (first, end), (seen, seen_end) = cells.core(cell, length), cells.seen(cell, length)
        assert seen == 0 or first - seen == halo
        assert seen_end == length or seen_end - end == halo
        assert 0 <= seen <= first < end <= seen_end <= length


@given(st.sampled_from([1, 4, 8]), st.integers(1, 5), st.data(), st.integers(1, 150))
def test_windows_of_shared_maps_start_at_multiples_cover_all_and_are_cut_off_at_the_edge(
    multiple, positions, data, length
):
    window = positions * multiple
    overlap = data.draw(st.integers(0, positions - 1)) * multiple
    grid = TileGrid(length, length, window, overlap, multiple=multiple)
    assert all(start % multiple == 0 for start in grid.row_starts)
    assert all(0 < second - first <= grid.stride for first, second in pairwise(grid.row_starts))
    ends = [grid.window_at(row, 0).row_end for row in range(len(grid.row_starts))]
    assert ends[-1] == length
    assert all(
        end == start + window for start, end in zip(grid.row_starts, ends[:-1], strict=False)
    )
    assert (weight_totals(grid.row_starts, length, window, overlap) > 0).all()


def test_windows_that_do_not_fit_the_stride_are_refused_with_those_that_do():
    with pytest.raises(
        TilingError, match="not multiples of the network's stride 8; use 504 and 96"
    ):
        TileGrid(900, 900, 500, 100, multiple=8)
    TileGrid(900, 900, 504, 96, multiple=8)


@pytest.mark.parametrize(("size", "halo"), [(0, 0), (8, -1)])
def test_cells_without_pixels_are_refused(size, halo):
    with pytest.raises(TilingError, match="use 1 or more, and 0 or more"):
        Cells(size, halo)
