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
