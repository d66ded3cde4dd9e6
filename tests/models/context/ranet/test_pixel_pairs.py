from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geoseg.models.context.ranet.pixel_pairs import flatten_map, pairs_up_to, unflatten_map

sides = st.integers(1, 6)


@given(sides, sides, st.integers(1, 5))
def test_each_pair_of_pixels_is_met_once(height: int, width: int, together: int) -> None:
    index = torch.arange(height * width).reshape(1, height, width)
    met: Counter[frozenset[int]] = Counter()
    for vertical in (False, True):
        major_size, minor_size = (height, width) if vertical else (width, height)
        flat = flatten_map(index, vertical)
        steps = range(1, major_size)
        for some in (steps[start : start + together] for start in range(0, len(steps), together)):
            bounds = {step: min(step - vertical, minor_size - 1) for step in some}
            pairs = pairs_up_to(major_size, minor_size, bounds, torch.device("cpu"))
            number = torch.arange(len(pairs.minor)).unsqueeze(1).expand(-1, pairs.positions)
            first, second = pairs.first(flat).expand(len(pairs.minor), -1), pairs.second(flat)[:, 0]
            found = torch.stack([number, first, second], 2)[pairs.inside()].tolist()
            for m, i, j in found:
                met[frozenset((i, j))] += 1
                (row_i, col_i), (row_j, col_j) = divmod(i, width), divmod(j, width)
                along = (row_j - row_i, col_j - col_i)
                assert (along if vertical else along[::-1]) == (pairs.major[m], pairs.minor[m])
    assert all(count == 1 for count in met.values())
    assert len(met) == height * width * (height * width - 1) // 2


@given(st.integers(2, 6), sides, st.data())
def test_the_longest_offset_overruns_by_its_lead_over_the_shortest(
    major_size: int, minor_size: int, data: st.DataObject
) -> None:
    longest = data.draw(st.integers(1, major_size - 1))
    shortest = data.draw(st.integers(1, longest))
    bounds = dict.fromkeys(range(shortest, longest + 1), 0)
    pairs = pairs_up_to(major_size, minor_size, bounds, torch.device("cpu"))
    last = pairs.positions - 1 + longest * minor_size
    assert pairs.overrun == last - (major_size * minor_size - 1)


@pytest.mark.parametrize("vertical", [False, True])
def test_a_map_is_unflattened_as_it_was_flattened(vertical: bool) -> None:
    x = torch.randn(3, 4, 7)
    assert torch.equal(unflatten_map(flatten_map(x, vertical), 4, 7, vertical), x)


@given(st.integers(2, 6), sides, st.data())
def test_sums_are_the_adjoint_of_copies_both_ways(
    major_size: int, minor_size: int, data: st.DataObject
) -> None:
    steps = data.draw(st.sets(st.integers(1, major_size - 1), min_size=1))
    pairs = pairs_up_to(
        major_size,
        minor_size,
        {step: min(step, minor_size - 1) for step in steps},
        torch.device("cpu"),
    )
    pairs = pairs.select(
        torch.tensor(data.draw(st.lists(st.integers(0, len(pairs.minor) - 1), min_size=1)))
    )
    x = torch.randn(2, (major_size + 1) * minor_size, dtype=torch.float64, requires_grad=True)
    y = (
        torch.randn(len(pairs.minor), 2, pairs.positions, dtype=torch.float64)
        * pairs.inside().unsqueeze(1)
    ).requires_grad_()
    forth, back = (pairs.second(x) * y).sum(), (x * pairs.sum_at_second(y)).sum()
    torch.testing.assert_close(forth, back)
    inside = pairs.inside().unsqueeze(1)
    for one, other in zip(
        torch.autograd.grad(forth, (x, y)), torch.autograd.grad(back, (x, y)), strict=True
    ):
        torch.testing.assert_close(*(g * inside if g.dim() == 3 else g for g in (one, other)))
    torch.testing.assert_close((pairs.first(x) * y).sum(), (x * pairs.sum_at_first(y)).sum())
