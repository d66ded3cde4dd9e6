"""Stitching against the plain thing: sums over the whole raster at once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.inference.stitching import classify, make_stitcher
from geoseg.tiling import TileGrid, Window, edge_weights


@st.composite
def cases(draw):
    window = draw(st.integers(1, 12))
    grid = TileGrid(
        height=draw(st.integers(1, 40)),
        width=draw(st.integers(1, 40)),
        window=window,
        overlap=draw(st.integers(0, window - 1)),
        stitch=draw(st.sampled_from(["blend", "crop"])),
    )
    return (
        grid,
        draw(st.one_of(st.just("auto"), st.integers(1, 45))),
        draw(st.integers(0, 2**32 - 1)),
    )


def window_probabilities(grid, row, col, classes, seed):
    """What a network with global context would say: another answer for each window."""
    rng = np.random.default_rng([seed, row, col])
    raw = rng.random((classes, grid.window, grid.window), np.float32) + 0.01
    return raw / raw.sum(0)


def whole(grid, classes, seed, dtype):
    """Scores and weight sums of the whole raster, window by window in row-major order."""
    rows, cols = max(grid.height, grid.window), max(grid.width, grid.window)
    scores, totals = np.zeros((classes, rows, cols), dtype), np.zeros((rows, cols), dtype)
    last_row, last_col = len(grid.row_starts) - 1, len(grid.col_starts) - 1
    for i, top in enumerate(grid.row_starts):
        for j, left in enumerate(grid.col_starts):
            probabilities = window_probabilities(grid, i, j, classes, seed).astype(dtype)
            place = (slice(top, top + grid.window), slice(left, left + grid.window))
            if grid.stitch == "blend":
                down = edge_weights(grid.window, grid.overlap, first=i == 0, last=i == last_row)
                across = edge_weights(grid.window, grid.overlap, first=j == 0, last=j == last_col)
                weights = (down[:, None] * across).astype(dtype)
                scores[(slice(None), *place)] += probabilities * weights
                totals[place] += weights
            else:
                own = np.zeros((rows, cols), bool)
                own[
                    grid.row_edges[i] : grid.row_edges[i + 1],
                    grid.col_edges[j] : grid.col_edges[j + 1],
                ] = True
                scores[(slice(None), *place)][:, own[place]] = probabilities[:, own[place]]
                totals[place][own[place]] = 1
    return scores[:, : grid.height, : grid.width], totals[: grid.height, : grid.width]


def stitched(grid, block, classes, seed):
    scores = np.full((classes, grid.height, grid.width), np.nan, np.float32)
    totals = np.ones((grid.height, grid.width), np.float32)
    for piece in grid.blocks(block, classes=classes):
        stitcher = make_stitcher(piece, classes)
        for row in piece.lattice_rows:
            for col in piece.lattice_cols:
                stitcher.add(row, col, window_probabilities(grid, row, col, classes, seed))
            if row in piece.band_rows:
                band = piece.band(row)
                some, sums = stitcher.finish(band)
                scores[(slice(None), *band.slices())] = some
                if sums is not None:
                    totals[band.slices()] = sums
    return scores, totals


@given(cases())
def test_blocks_give_the_whole_rasters_sums_bit_for_bit(case):
    grid, block, seed = case
    scores, _ = stitched(grid, block, 3, seed)
    expected, _ = whole(grid, 3, seed, np.float32)
    np.testing.assert_array_equal(scores, expected)


@given(cases())
def test_weight_sums_normalize_probabilities_to_one(case):
    grid, block, seed = case
    scores, totals = stitched(grid, block, 3, seed)
    expected, weights = whole(grid, 3, seed, np.float64)
    np.testing.assert_allclose(scores / totals, expected / weights, rtol=2e-5)
    np.testing.assert_allclose((scores / totals).sum(0), 1.0, rtol=2e-5)


@given(cases())
def test_blending_a_constant_gives_the_constant(case):
    grid, block, _ = case
    for piece in grid.blocks(block):
        stitcher = make_stitcher(piece, 1)
        for row in piece.lattice_rows:
            for col in piece.lattice_cols:
                stitcher.add(row, col, np.full((1, grid.window, grid.window), 0.25, np.float32))
            if row in piece.band_rows:
                band = piece.band(row)
                scores, totals = stitcher.finish(band)
                np.testing.assert_allclose(
                    scores[0] / (1.0 if totals is None else totals), 0.25, rtol=2e-5
                )


def test_the_highest_score_wins_and_ties_go_to_the_lowest_id():
    scores = np.array([[[0.2, 0.4, 0.3]], [[0.5, 0.4, 0.3]], [[0.3, 0.2, 0.4]]], np.float32)
    band = classify(Window(0, 0, 1, 3), scores, None, np.ones((1, 3), bool))
    assert band.labels.tolist() == [[1, 0, 2]]
    assert band.confidence.tolist() == [[128, 102, 102]]
    assert band.probabilities is None


def test_invalid_pixels_get_255_and_no_confidence_and_unsure_ones_254():
    scores = np.array([[[0.9, 0.6, 0.9]], [[0.1, 0.4, 0.1]]], np.float32) * 2
    valid = np.array([[True, True, False]])
    band = classify(
        Window(0, 0, 1, 3),
        scores,
        np.full((1, 3), 2, np.float32),
        valid,
        min_confidence=0.7,
        probabilities=True,
    )
    assert band.labels.tolist() == [[0, 254, 255]]
    assert band.confidence.tolist() == [[230, 153, 0]]
    assert band.probabilities.tolist() == [[[230, 153, 0]], [[26, 102, 0]]]


@pytest.mark.parametrize("stitch", ["blend", "crop"])
def test_decisions_equal_argmax_on_random_scores(stitch):
    scores = np.random.default_rng(0).random((7, 100, 33), np.float32)
    band = classify(Window(0, 0, 100, 33), scores, None, np.ones((100, 33), bool))
    np.testing.assert_array_equal(band.labels, scores.argmax(0))
    np.testing.assert_array_equal(band.confidence, np.rint(scores.max(0) * np.float32(255)))


@given(cases(), st.data())
def test_a_band_needs_the_windows_that_touch_it_and_no_others(case, data):
    """As in a resumed run: rows are left out; the buffer may roll by more than its height."""
    grid, block, seed = case
    expected, _ = whole(grid, 2, seed, np.float32)
    for piece in grid.blocks(block, classes=2):
        bands = dict(piece.bands())
        wanted = data.draw(st.sets(st.sampled_from(sorted(bands))))
        stitcher = make_stitcher(piece, 2)
        for row in sorted({row for each in wanted for row in piece.rows_for(bands[each])}):
            for col in piece.lattice_cols:
                stitcher.add(row, col, window_probabilities(grid, row, col, 2, seed))
            if row in wanted:
                scores, _ = stitcher.finish(bands[row])
                np.testing.assert_array_equal(scores, expected[(slice(None), *bands[row].slices())])


def test_a_band_without_any_window_is_all_zeros():
    (piece,) = TileGrid(40, 20, 8, 2).blocks()
    stitcher = make_stitcher(piece, 2)
    stitcher.add(0, 0, np.ones((2, 8, 8), np.float32))
    for row, band in [*piece.bands()][2:]:
        scores, totals = stitcher.finish(band)
        assert scores.shape == (2, band.height, band.width), row
        assert (scores == 0.0).all()
        assert (totals > 0.0).all()


def test_the_buffer_is_no_higher_than_the_raster():
    (piece,) = TileGrid(3, 20, 8, 2).blocks()
    stitcher = make_stitcher(piece, 2)
    scores, _ = stitcher.finish(piece.band(0))
    assert scores.base.shape == (2, 3, 20)


@pytest.mark.parametrize(("least", "labels"), [(0.3, [254, 0, 0]), (0.5, [254, 0, 0])])
def test_a_pixel_as_sure_as_is_asked_for_keeps_its_class(least, labels):
    scores = np.array([[[0.25, 0.5, 0.75]]], np.float32)
    band = classify(Window(0, 0, 1, 3), scores, None, np.ones((1, 3), bool), min_confidence=least)
    assert band.labels.tolist() == [labels]
    assert band.confidence.tolist() == [[64, 128, 191]]


def test_sums_that_rounding_lifts_above_1_are_1():
    scores = np.full((1, 1, 1), 1.004, np.float32)
    band = classify(Window(0, 0, 1, 1), scores, None, np.ones((1, 1), bool), probabilities=True)
    assert band.confidence[0, 0] == band.probabilities[0, 0, 0] == 255
