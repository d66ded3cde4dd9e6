from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.models.context.ranet import affinity
from geoseg.models.context.ranet.affinity import Affinities, ScoreMaps, representative_scores
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
        [{}, {"ends": False}, {"jsd": "binary_argmax"}, {"boundary": None}, {"classes": None}]
    ),
)
def test_scores_and_gradients_equal_the_mean_of_the_table_of_all_pairs(
    height: int, width: int, regions: int, seed: int, options: dict[str, Any]
) -> None:
    maps = draw(height, width, seed, **options)
    labels = torch.randint(regions, (height, width)).unique(return_inverse=True)[1]
    table = plain.affinities(maps.boundary, maps.classes, maps.size, maps.jsd, maps.ends)
    expected = plain.representative_scores(table, labels.flatten().tolist()).reshape(height, width)
    leaves = [x for x in (maps.boundary, maps.classes) if x is not None]
    found = representative_scores(maps, labels)
    # Regions of one pixel may depend on nothing.
    check_same(
        found + sum(0 * x.sum() for x in leaves),
        expected + sum(0 * x.sum() for x in leaves),
        leaves,
    )
    assert 0 <= found.min() <= found.max() <= 1
    assert torch.equal(found, representative_scores(maps.detach(), labels))


def test_chunks_change_nothing_but_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    maps, labels = draw(9, 11, 0), torch.zeros(9, 11, dtype=torch.int64)
    whole = representative_scores(maps, labels)
    monkeypatch.setitem(affinity.CHUNK, "cpu", 1)
    assert maps.boundary is not None
    assert maps.classes is not None
    check_same(representative_scores(maps, labels), whole, [maps.boundary, maps.classes], 1e-12)


@pytest.mark.parametrize("fan", [1, 300, 10**6])
def test_steps_taken_together_change_nothing_but_rounding(
    fan: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    maps, labels = draw(9, 11, 0, ends=False), torch.arange(99).reshape(9, 11) % 3
    whole = representative_scores(maps, labels)
    monkeypatch.setattr(affinity, "FAN", fan)
    assert maps.boundary is not None
    assert maps.classes is not None
    check_same(representative_scores(maps, labels), whole, [maps.boundary, maps.classes], 1e-12)


def test_a_small_map_takes_few_passes() -> None:
    maps, labels = draw(14, 14, 0), torch.zeros(14, 14, dtype=torch.int64)
    assert [len(list(Affinities(maps, turned).within(labels))) for turned in (False, True)] == [
        1,
        1,
    ]


def test_ring_serves_long_lines_where_no_gradient_is_wanted() -> None:
    maps, labels = draw(24, 30, 0, reach=6), torch.zeros(24, 30, dtype=torch.int64)
    exact, near = representative_scores(maps, labels), representative_scores(maps.detach(), labels)
    assert 0 < (exact - near).abs().max() < 0.05
    assert torch.equal(exact, representative_scores(replace(maps, reach=96), labels))
