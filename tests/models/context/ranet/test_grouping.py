from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.models.context.ranet.affinity import ScoreMaps
from geoseg.models.context.ranet.grouping import Grouping, group
from geoseg.models.context.ranet.regions import number
from tests.models.plain import ranet as plain

groupings = pytest.mark.parametrize("grouping", get_args(Grouping))


def draw(height: int, width: int, seed: int, **options: Any) -> ScoreMaps:
    torch.manual_seed(seed)
    b = torch.rand(height, width, dtype=torch.float64) ** 4
    c = (4 * torch.randn(3, height, width, dtype=torch.float64)).softmax(0)
    return replace(ScoreMaps(b, c, (height, width), "full2", True, 96), **options)


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.sampled_from(get_args(Grouping)),
    st.sampled_from([0.2, 0.5, 0.8]),
    st.integers(1, 9),
    st.integers(0, 2**32 - 1),
    st.sampled_from(
        [{}, {"jsd": "binary_argmax", "ends": False}, {"boundary": None}, {"classes": None}]
    ),
)
def test_regions_are_those_of_the_table_of_all_pairs(
    size: tuple[int, int],
    grouping: Grouping,
    threshold: float,
    core: int,
    seed: int,
    options: dict[str, Any],
) -> None:
    maps = draw(*size, seed, **options)
    table = plain.affinities(maps.boundary, maps.classes, size, maps.jsd, maps.ends)
    expected = plain.group(table, maps.classes, size, grouping, threshold, core, maps.jsd)
    assert torch.equal(
        group(maps, grouping, threshold, core), number(torch.tensor(expected).reshape(size))
    )


@groupings
def test_no_region_is_smaller_than_the_core(grouping: Grouping) -> None:
    labels = group(draw(20, 25, 3), grouping, 0.5, 8)
    assert labels.flatten().bincount().min() >= 8


@groupings
def test_a_map_of_boundaries_only_falls_back_to_the_classes(grouping: Grouping) -> None:
    maps = draw(16, 16, 0, boundary=torch.ones(16, 16, dtype=torch.float64))
    top = torch.zeros(16, 16, dtype=torch.int64)
    top[:, 8:] = 1
    maps = replace(maps, classes=torch.nn.functional.one_hot(top, 3).permute(2, 0, 1).double())
    assert torch.equal(group(maps, grouping, 0.8, 8), top)


@groupings
def test_ties_everywhere_make_one_region(grouping: Grouping) -> None:
    maps = ScoreMaps(torch.zeros(6, 7), torch.full((4, 6, 7), 0.25), (6, 7), "full2", True, 96)
    assert not group(maps, grouping, 0.8, 8).any()
