from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.models.context.ranet import region_attention
from geoseg.models.context.ranet.region_attention import (
    RegionAttention,
    ScoreMaps,
    representative_scores,
)
from tests.models.plain import ranet as plain
from tests.models.plain.agreement import check_same


def draw(height: int, width: int, seed: int, **options: Any) -> ScoreMaps:
    torch.manual_seed(seed)
    b = torch.rand(height, width, dtype=torch.float64, requires_grad=True)
    c = (2 * torch.randn(3, height, width, dtype=torch.float64)).softmax(0).requires_grad_()
    return replace(ScoreMaps(b, c, (height, width), "full2", True, 96), **options)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(0, 2**32 - 1),
    st.sampled_from(
        [
            {},
            {"include_ends": False},
            {"divergence": "binary_argmax"},
            {"boundary": None},
            {"semantic": None},
        ]
    ),
)
def test_scores_and_gradients_equal_the_mean_of_the_table_of_all_pairs(
    height: int, width: int, regions: int, seed: int, options: dict[str, Any]
) -> None:
    maps = draw(height, width, seed, **options)
    labels = torch.randint(regions, (height, width)).unique(return_inverse=True)[1]
    table = plain.affinities(
        maps.boundary, maps.semantic, maps.size, maps.divergence, maps.include_ends
    )
    expected = plain.representative_scores(table, labels.flatten().tolist()).reshape(height, width)
    leaves = [x for x in (maps.boundary, maps.semantic) if x is not None]
    found = representative_scores(maps, labels)
    # Regions of one pixel may depend on nothing.
    check_same(
        found + sum(0 * x.sum() for x in leaves),
        expected + sum(0 * x.sum() for x in leaves),
        leaves,
    )
    assert 0 <= found.min() <= found.max() <= 1
    assert torch.equal(found, representative_scores(maps.detach(), labels))


def test_parts_change_nothing_but_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    maps, labels = draw(9, 11, 0), torch.zeros(9, 11, dtype=torch.int64)
    whole = representative_scores(maps, labels)
    monkeypatch.setitem(region_attention.MAX_PAIRS, "cpu", 1)
    assert maps.boundary is not None
    assert maps.semantic is not None
    check_same(representative_scores(maps, labels), whole, [maps.boundary, maps.semantic], 1e-12)


@pytest.mark.parametrize("limit", [1, 300, 10**6])
def test_steps_taken_together_change_nothing_but_rounding(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    maps, labels = draw(9, 11, 0, include_ends=False), torch.arange(99).reshape(9, 11) % 3
    whole = representative_scores(maps, labels)
    monkeypatch.setattr(region_attention, "MAX_PAIRS_TOGETHER", limit)
    assert maps.boundary is not None
    assert maps.semantic is not None
    check_same(representative_scores(maps, labels), whole, [maps.boundary, maps.semantic], 1e-12)


def test_a_small_map_takes_few_passes() -> None:
    maps, labels = draw(14, 14, 0), torch.zeros(14, 14, dtype=torch.int64)
    assert [
        len(list(RegionAttention(maps, vertical).pairs_within(labels)))
        for vertical in (False, True)
    ] == [
        1,
        1,
    ]


def test_long_lines_are_approximate_where_no_gradient_is_wanted() -> None:
    maps, labels = draw(24, 30, 0, exact_reach=6), torch.zeros(24, 30, dtype=torch.int64)
    exact, near = representative_scores(maps, labels), representative_scores(maps.detach(), labels)
    assert 0 < (exact - near).abs().max() < 0.05
    assert torch.equal(exact, representative_scores(replace(maps, exact_reach=96), labels))


@pytest.mark.parametrize("limit", [1, 300, 1000, 10**6])
@pytest.mark.parametrize("vertical", [False, True])
def test_major_offsets_are_put_together_as_long_as_their_pairs_are_few(
    vertical: bool, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(region_attention, "MAX_PAIRS_TOGETHER", limit)
    labels = torch.zeros(9, 11, dtype=torch.int64)
    parts = [p for p, _ in RegionAttention(draw(9, 11, 0), vertical).pairs_within(labels)]
    length = 9 if vertical else 11
    across = 20 - length
    assert [part.shortest for part in parts[1:]] == [part.longest + 1 for part in parts[:-1]]
    assert (parts[0].shortest, parts[-1].longest) == (1, length - 1)
    for part in parts:
        offsets = range(part.shortest, part.longest + 2)
        minor = [2 * min(offset - vertical, across - 1) + 1 for offset in offsets]
        positions = (length - part.shortest) * across
        assert len(part.major) == sum(minor[:-1])
        assert part.shortest == part.longest or len(part.major) * part.positions <= limit
        assert part.longest == length - 1 or sum(minor) * positions > limit


def test_a_part_holds_no_more_than_fits_a_cache() -> None:
    labels = torch.zeros(512, 512, dtype=torch.int64)
    flat = torch.zeros(512, 512)
    maps = ScoreMaps(flat, None, (512, 512), "full2", True, 96)
    pairs, same = next(RegionAttention(maps, False).pairs_within(labels))
    assert same.shape == (len(pairs.major), pairs.positions)
    assert 2**17 < same.numel() <= 2**18

    classes = torch.full((32, 256, 256), 1 / 32)
    maps = ScoreMaps(None, classes, (256, 256), "full2", True, 96)
    pairs, same = next(RegionAttention(maps, True).pairs_within(labels[:256, :256]))
    assert same.numel() * 32 <= 2**22


def test_many_pairs_are_not_put_together() -> None:
    maps = ScoreMaps(torch.zeros(64, 64), None, (64, 64), "full2", True, 96)
    labels = torch.zeros(64, 64, dtype=torch.int64)
    pairs, _ = next(RegionAttention(maps, False).pairs_within(labels))
    assert pairs.longest > 1
    assert len(pairs.major) * pairs.positions <= 2**16


def test_long_lines_are_looked_at_one_major_offset_at_a_time() -> None:
    maps = draw(9, 11, 0, exact_reach=4)
    labels = torch.zeros(9, 11, dtype=torch.int64)
    parts = [p for p, _ in RegionAttention(maps, False).pairs_within(labels)]
    assert [(part.shortest, part.longest) for part in parts] == [
        (1, 4),
        *((offset, offset) for offset in range(5, 11)),
    ]


def test_offsets_beyond_every_region_are_left_out() -> None:
    labels = torch.arange(12) // 3 + 4 * (torch.arange(8)[:, None] // 4)  # regions of 4 x 3 pixels
    maps = draw(8, 12, 0)
    for vertical in (False, True):
        for pairs, same in RegionAttention(maps, vertical).pairs_within(labels):
            assert same.any(1).all()
            assert int(pairs.major.max()) == pairs.longest == (3 if vertical else 2)
            assert int(pairs.minor.abs().max()) <= 2
