from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.models.context.ranet.region_attention import ScoreMaps
from geoseg.models.context.ranet.regions import (
    Grouping,
    attach_small,
    components,
    construct_regions,
    grid_components,
    is_large,
    renumber,
)
from tests.models.plain import ranet as plain


@given(
    st.integers(1, 30),
    st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29))),
    st.integers(0, 30),
)
def test_components_equal_a_breadth_first_search(
    nodes: int, pairs: list[tuple[int, int]], known: int
) -> None:
    pairs = [(i % nodes, j % nodes) for i, j in pairs]
    edges: list[list[int]] = [[] for _ in range(nodes)]
    for i, j in pairs:
        edges[i].append(j)
        edges[j].append(i)
    ends = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2)
    root = torch.arange(nodes)
    for part in (ends[:known], ends[known:]):  # edges may come in parts
        root = components(root, part[:, 0], part[:, 1])
    assert root.tolist() == plain.search(edges)


@pytest.mark.parametrize("seed", range(5))
def test_grid_components_are_those_of_scipy(seed: int) -> None:
    mask = np.random.default_rng(seed).random((60, 70)) < 0.55
    x = torch.from_numpy(mask)
    labels = grid_components(x[:, 1:] & x[:, :-1], x[1:] & x[:-1])
    expected, count = scipy.ndimage.label(mask)
    for region in range(1, count + 1):
        (first,) = set(labels[expected == region].tolist())
        assert first == np.flatnonzero(expected.ravel() == region)[0]
    alone = labels[~x]
    assert torch.equal(alone, torch.arange(60 * 70).reshape(60, 70)[~x])


def test_a_spiral_is_one_component() -> None:
    size = 41
    path = torch.zeros(size, size, dtype=torch.bool)
    row, col, down, right = 0, 0, 0, 1
    path[0, 0] = True
    for _ in range(size * size):
        ahead = (row + 2 * down, col + 2 * right)
        free = (
            all(0 <= x < size for x in (row + down, col + right))
            and not path[row + down, col + right]
        )
        blocked = all(0 <= x < size for x in ahead) and path[ahead]
        if not free or blocked:
            down, right = right, -down
            continue
        row, col = row + down, col + right
        path[row, col] = True
    labels = grid_components(path[:, 1:] & path[:, :-1], path[1:] & path[:-1])
    assert path.sum() > size * size // 3
    assert not labels[path].any()


@given(
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(1, 5),
    st.integers(1, 8),
    st.integers(0, 2**32 - 1),
)
def test_attachment_equals_a_loop_over_pixels(
    height: int, width: int, regions: int, min_size: int, seed: int
) -> None:
    torch.manual_seed(seed)
    labels = torch.randint(min(regions, height * width), (height, width))
    if not (kept := is_large(labels, min_size)).any():
        return
    c = torch.rand(2, height, width, dtype=torch.float64)
    c = c / c.sum(0)

    def similarity(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        flat = zip(one.flatten(1).T, other.flatten(1).T, strict=True)
        return torch.tensor([1 - plain.divergence(p, q, "full2").item() for p, q in flat]).reshape(
            one.shape[1:]
        )

    found = attach_small(
        labels, kept, similarity(c[:, :, 1:], c[:, :, :-1]), similarity(c[:, 1:], c[:, :-1])
    )
    assert found.flatten().tolist() == plain.attach(
        labels.flatten().tolist(), c, (height, width), min_size, "full2"
    )


def test_regions_are_numbered_in_the_order_of_their_labels() -> None:
    assert renumber(torch.tensor([[7, 7], [3, 90]])).tolist() == [[1, 1], [0, 2]]


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
        [
            {},
            {"divergence": "binary_argmax", "include_ends": False},
            {"boundary": None},
            {"semantic": None},
        ]
    ),
)
def test_regions_are_those_of_the_table_of_all_pairs(
    size: tuple[int, int],
    grouping: Grouping,
    threshold: float,
    min_size: int,
    seed: int,
    options: dict[str, Any],
) -> None:
    maps = draw(*size, seed, **options)
    table = plain.affinities(maps.boundary, maps.semantic, size, maps.divergence, maps.include_ends)
    expected = plain.group(
        table, maps.semantic, size, grouping, threshold, min_size, maps.divergence
    )
    assert torch.equal(
        construct_regions(maps, grouping, threshold, min_size),
        renumber(torch.tensor(expected).reshape(size)),
    )


@groupings
def test_no_region_is_smaller_than_the_smallest(grouping: Grouping) -> None:
    labels = construct_regions(draw(20, 25, 3), grouping, 0.5, 8)
    assert labels.flatten().bincount().min() >= 8


@groupings
def test_a_map_of_boundaries_only_falls_back_to_the_classes(grouping: Grouping) -> None:
    maps = draw(16, 16, 0, boundary=torch.ones(16, 16, dtype=torch.float64))
    top = torch.zeros(16, 16, dtype=torch.int64)
    top[:, 8:] = 1
    maps = replace(maps, semantic=torch.nn.functional.one_hot(top, 3).permute(2, 0, 1).double())
    assert torch.equal(construct_regions(maps, grouping, 0.8, 8), top)


@groupings
def test_ties_everywhere_make_one_region(grouping: Grouping) -> None:
    maps = ScoreMaps(torch.zeros(6, 7), torch.full((4, 6, 7), 0.25), (6, 7), "full2", True, 96)
    assert not construct_regions(maps, grouping, 0.8, 8).any()
