"""Stitching against plain numpy, bit for bit, and against sums over the whole raster at once."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.inference import decision
from geoseg.inference.decision import Asked, classify
from geoseg.inference.stitching import BlendStitcher, Scores, make_stitcher
from geoseg.tiling import TileGrid, Window, edge_weights
from tests.inference import plain_stitching as plain

CPU = torch.device("cpu")


@pytest.fixture(autouse=True, scope="module")
def small_cache():
    """Windows of a few pixels are worked on in several pieces, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decision, "_CACHED_BYTES", 400)
        yield


def scores_of(probabilities):
    return Scores(torch.from_numpy(probabilities), logits=False)


def blender(block, classes):
    return BlendStitcher(block, classes, CPU, Asked())


@st.composite
def cases(draw, stitch="blend"):
    window = draw(st.integers(1, 12))
    grid = TileGrid(
        height=draw(st.integers(1, 40)),
        width=draw(st.integers(1, 40)),
        window=window,
        overlap=draw(st.integers(0, window - 1)),
        stitch=stitch,
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
            down = edge_weights(grid.window, grid.overlap, first=i == 0, last=i == last_row)
            across = edge_weights(grid.window, grid.overlap, first=j == 0, last=j == last_col)
            weights = (down[:, None] * across).astype(dtype)
            scores[(slice(None), *place)] += probabilities * weights
            totals[place] += weights
    return scores[:, : grid.height, : grid.width], totals[: grid.height, : grid.width]


def stitched(grid, block, classes, seed):
    scores = np.full((classes, grid.height, grid.width), np.nan, np.float32)
    totals = np.ones((grid.height, grid.width), np.float32)
    for piece in grid.blocks(block, classes=classes):
        stitcher = blender(piece, classes)
        for row in piece.lattice_rows:
            for col in piece.lattice_cols:
                seen = window_probabilities(grid, row, col, classes, seed)
                window = grid.window_at(row, col)
                stitcher.add(row, col, scores_of(seen[:, : window.height, : window.width]))
            if row in piece.band_rows:
                band = piece.band(row)
                some, sums = stitcher.finish(band)
                scores[(slice(None), *band.slices())] = some
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
        stitcher = blender(piece, 1)
        window = grid.window_at(0, 0)
        constant = np.full((1, window.height, window.width), 0.25, np.float32)
        for row in piece.lattice_rows:
            for col in piece.lattice_cols:
                stitcher.add(row, col, scores_of(constant))
            if row in piece.band_rows:
                band = piece.band(row)
                scores, totals = stitcher.finish(band)
                np.testing.assert_allclose(scores[0] / totals, 0.25, rtol=2e-5)


def test_the_highest_score_wins_and_ties_go_to_the_lowest_id():
    scores = torch.tensor([[[0.2, 0.4, 0.3]], [[0.5, 0.4, 0.3]], [[0.3, 0.2, 0.4]]])
    band = classify(scores, torch.ones(1, 3), torch.ones((1, 3), dtype=torch.bool), Asked())
    assert band.labels.tolist() == [[1, 0, 2]]
    assert band.confidence.tolist() == [[128, 102, 102]]
    assert band.probabilities is None


def test_invalid_pixels_get_255_and_no_confidence_and_unsure_ones_254():
    band = classify(
        torch.tensor([[[0.9, 0.6, 0.9]], [[0.1, 0.4, 0.1]]]) * 2,
        torch.full((1, 3), 2.0),
        torch.tensor([[True, True, False]]),
        Asked(probabilities=True, min_confidence=0.7),
    )
    assert band.labels.tolist() == [[0, 254, 255]]
    assert band.confidence.tolist() == [[230, 153, 0]]
    assert band.probabilities.tolist() == [[[230, 153, 0]], [[26, 102, 0]]]


@settings(max_examples=12)
@given(
    st.integers(1, 254),
    st.integers(1, 20),
    st.integers(1, 20),
    st.sampled_from([0.0, 0.4]),
    st.integers(0, 99),
)
def test_decisions_are_those_of_numpy_bit_for_bit(classes, height, width, least, seed):
    rng = np.random.default_rng(seed)
    scores = rng.random((classes, height, width), np.float32).round(2)  # with ties
    totals = rng.random((height, width), np.float32) + 1
    valid = rng.random((height, width)) < 0.9
    options = {"min_confidence": least, "probabilities": True}
    expected = plain.classify(Window(0, 0, height, width), scores, totals, valid, **options)
    found = classify(*map(torch.from_numpy, (scores, totals, valid)), Asked(**options))
    some = classify(*map(torch.from_numpy, (scores, totals, valid)), Asked(False, False, least))
    np.testing.assert_array_equal(some.labels, expected.labels)
    assert some.confidence is some.probabilities is None
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.confidence, expected.confidence)
    np.testing.assert_array_equal(found.probabilities, expected.probabilities)


@settings(max_examples=25)
@given(cases())
def test_sums_are_those_of_numpy_bit_for_bit(case):
    grid, block, seed = case
    height, width = grid.window_at(0, 0).height, grid.window_at(0, 0).width
    for piece in grid.blocks(block, classes=3):
        stitcher, expected = blender(piece, 3), plain.make_stitcher(piece, 3)
        for row in piece.lattice_rows:
            for col in piece.lattice_cols:
                seen = window_probabilities(grid, row, col, 3, seed)[:, :height, :width]
                stitcher.add(row, col, scores_of(seen.copy()))
                expected.add(row, col, seen)
            if row in piece.band_rows:
                for some, same in zip(
                    stitcher.finish(piece.band(row)), expected.finish(piece.band(row)), strict=True
                ):
                    np.testing.assert_array_equal(some, same)


@settings(max_examples=25)
@given(cases())
def test_logits_are_stitched_as_their_probabilities_whatever_the_blocks(case):
    grid, block, seed = case
    window = grid.window_at(0, 0)

    def sums(pieces, *, logits):
        scores = torch.full((3, grid.height, grid.width), torch.nan)
        for piece in pieces:
            stitcher = blender(piece, 3)
            for row in piece.lattice_rows:
                for col in piece.lattice_cols:
                    seen = window_probabilities(grid, row, col, 3, seed) * 9
                    raw = torch.from_numpy(seen[:, : window.height, : window.width].copy())
                    stitcher.add(
                        row, col, Scores(raw, True) if logits else Scores(raw.softmax(0), False)
                    )
                if row in piece.band_rows:
                    band = piece.band(row)
                    scores[(slice(None), *band.slices())] = stitcher.finish(band)[0]
        return scores

    found = sums(grid.blocks(block, classes=3), logits=True)
    np.testing.assert_array_equal(found, sums(grid.blocks("auto", classes=3), logits=True))
    np.testing.assert_allclose(found, sums(grid.blocks("auto"), logits=False), rtol=1e-5)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("stitch", ["blend", "crop"])
def test_a_number_tells_logits_that_are_none(stitch, value):
    (piece,) = TileGrid(8, 8, 8, 2, stitch).blocks()
    logits = torch.zeros((3, 8, 8))
    stitcher = make_stitcher(piece, 3, CPU, Asked())
    assert stitcher.add(0, 0, Scores(logits, True)).isfinite()
    logits[1, 7, 3] = value
    assert not stitcher.add(0, 0, Scores(logits, True)).isfinite()


@settings(max_examples=25)
@given(cases("crop"), st.booleans(), st.booleans(), st.sampled_from([0.0, 0.6]))
def test_each_pixel_is_decided_by_its_window_as_by_numpy_whatever_is_asked(
    case, confidence, probabilities, least
):
    grid, block, seed = case
    shown = grid.window_at(0, 0)
    asked = Asked(confidence, probabilities, least)
    for piece in grid.blocks(block, classes=3):
        stitcher, expected = make_stitcher(piece, 3, CPU, asked), plain.make_stitcher(piece, 3)
        for row in piece.band_rows:
            for col in piece.lattice_cols:
                seen = window_probabilities(grid, row, col, 3, seed) * 9
                logits = torch.from_numpy(seen[:, : shown.height, : shown.width].copy())
                stitcher.add(row, col, Scores(logits, logits=True))
                expected.add(row, col, logits.softmax(0).numpy())
            band = piece.band(row)
            valid = np.random.default_rng(seed).random((band.height, band.width)) < 0.9
            found = stitcher.decide(band, torch.from_numpy(valid))
            same = plain.classify(
                *(band, *expected.finish(band), valid),
                min_confidence=least,
                probabilities=probabilities,
            )
            np.testing.assert_array_equal(found.labels, same.labels)
            assert (found.confidence is not None) == confidence
            if confidence:
                np.testing.assert_allclose(found.confidence, same.confidence, atol=1)
            assert (found.probabilities is not None) == probabilities
            if probabilities:
                np.testing.assert_allclose(found.probabilities, same.probabilities, atol=1)


@pytest.mark.parametrize("interleaved", [True, False])
def test_planes_are_the_scores_class_by_class_and_a_copy_only_where_they_must_be(interleaved):
    values = torch.rand((2, 3, 5, 7), generator=torch.Generator().manual_seed(0))
    if interleaved:
        values = values.contiguous(memory_format=torch.channels_last)
    planes, logits = Scores(values, logits=True).planes(slice(1, 4))
    np.testing.assert_array_equal(planes, values[:, :, 1:4])
    assert planes.stride(-1) == 1
    assert logits
    shared = planes.untyped_storage().data_ptr() == values.untyped_storage().data_ptr()
    assert shared != interleaved


@settings(max_examples=10)
@given(cases("crop"), st.booleans())
def test_classes_that_lie_side_by_side_decide_as_planes_do(case, probabilities):
    grid, block, seed = case
    shown = grid.window_at(0, 0)
    for piece in grid.blocks(block, classes=3):
        stitchers = [make_stitcher(piece, 3, CPU, Asked(True, probabilities)) for _ in range(2)]
        for row in piece.band_rows:
            for col in piece.lattice_cols:
                seen = window_probabilities(grid, row, col, 3, seed) * 9
                planes = torch.from_numpy(seen[:, : shown.height, : shown.width].copy())
                interleaved = planes.permute(1, 2, 0).contiguous().permute(2, 0, 1)
                for stitcher, values in zip(stitchers, (planes, interleaved), strict=True):
                    stitcher.add(row, col, Scores(values, logits=True))
            band = piece.band(row)
            valid = torch.ones((band.height, band.width), dtype=torch.bool)
            some, same = (stitcher.decide(band, valid) for stitcher in stitchers)
            for one, other in zip(some, same, strict=True):
                assert (one is None) == (other is None)
                if one is not None:
                    np.testing.assert_array_equal(one, other)


@given(cases(), st.data())
def test_a_band_needs_the_windows_that_touch_it_and_no_others(case, data):
    """As in a resumed run: rows are left out; the buffer may roll by more than its height."""
    grid, block, seed = case
    expected, _ = whole(grid, 2, seed, np.float32)
    for piece in grid.blocks(block, classes=2):
        bands = dict(piece.bands())
        wanted = data.draw(st.sets(st.sampled_from(sorted(bands))))
        stitcher = blender(piece, 2)
        height, width = grid.window_at(0, 0).height, grid.window_at(0, 0).width
        for row in sorted({row for each in wanted for row in piece.rows_for(bands[each])}):
            for col in piece.lattice_cols:
                seen = window_probabilities(grid, row, col, 2, seed)[:, :height, :width]
                stitcher.add(row, col, scores_of(seen))
            if row in wanted:
                scores, _ = stitcher.finish(bands[row])
                np.testing.assert_array_equal(scores, expected[(slice(None), *bands[row].slices())])


def test_a_band_without_any_window_is_all_zeros():
    (piece,) = TileGrid(40, 20, 8, 2).blocks()
    stitcher = blender(piece, 2)
    stitcher.add(0, 0, scores_of(np.ones((2, 8, 8), np.float32)))
    for row, band in [*piece.bands()][2:]:
        scores, totals = stitcher.finish(band)
        assert scores.shape == (2, band.height, band.width), row
        assert (scores == 0.0).all()
        assert (totals > 0.0).all()


def test_the_buffer_is_no_higher_than_the_raster():
    (piece,) = TileGrid(3, 20, 8, 2).blocks()
    stitcher = blender(piece, 2)
    scores, _ = stitcher.finish(piece.band(0))
    assert scores._base.shape == (2, 3, 20)


@pytest.mark.parametrize(("least", "labels"), [(0.3, [254, 0, 0]), (0.5, [254, 0, 0])])
def test_a_pixel_as_sure_as_is_asked_for_keeps_its_class(least, labels):
    scores, valid = torch.tensor([[[0.25, 0.5, 0.75]]]), torch.ones((1, 3), dtype=torch.bool)
    band = classify(scores, torch.ones(1, 3), valid, Asked(min_confidence=least))
    assert band.labels.tolist() == [labels]
    assert band.confidence.tolist() == [[64, 128, 191]]


def test_sums_that_rounding_lifts_above_1_are_1():
    scores, valid = torch.full((1, 1, 1), 1.004), torch.ones((1, 1), dtype=torch.bool)
    band = classify(scores, torch.ones(1, 1), valid, Asked(probabilities=True))
    assert band.confidence[0, 0] == band.probabilities[0, 0, 0] == 255
