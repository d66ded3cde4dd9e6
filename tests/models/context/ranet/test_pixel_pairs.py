from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geoseg.models.context.ranet.pixel_pairs import fan, lay, lift

sides = st.integers(1, 6)


@given(sides, sides, st.integers(1, 5))
def test_each_pair_of_pixels_is_met_once(height: int, width: int, together: int) -> None:
    index = torch.arange(height * width).reshape(1, height, width)
    met: Counter[frozenset[int]] = Counter()
    for turned in (False, True):
        length, across = (height, width) if turned else (width, height)
        flat = lay(index, turned)
        steps = range(1, length)
        for some in (steps[start : start + together] for start in range(0, len(steps), together)):
            bounds = {step: min(step - turned, across - 1) for step in some}
            at = fan(length, across, bounds, torch.device("cpu"))
            number = torch.arange(len(at.slants)).unsqueeze(1).expand(-1, at.count)
            first, second = at.first(flat).expand(len(at.slants), -1), at.second(flat)[:, 0]
            found = torch.stack([number, first, second], 2)[at.inside()].tolist()
            for m, i, j in found:
                met[frozenset((i, j))] += 1
                (row_i, col_i), (row_j, col_j) = divmod(i, width), divmod(j, width)
                along = (row_j - row_i, col_j - col_i)
                assert (along if turned else along[::-1]) == (at.steps[m], at.slants[m])
    assert all(count == 1 for count in met.values())
    assert len(met) == height * width * (height * width - 1) // 2


@pytest.mark.parametrize("turned", [False, True])
def test_a_map_is_lifted_as_it_was_laid(turned: bool) -> None:
    x = torch.randn(3, 4, 7)
    assert torch.equal(lift(lay(x, turned), 4, 7, turned), x)


@given(st.integers(2, 6), sides, st.data())
def test_sums_are_the_adjoint_of_copies_both_ways(
    length: int, across: int, data: st.DataObject
) -> None:
    steps = data.draw(st.sets(st.integers(1, length - 1), min_size=1))
    at = fan(length, across, {step: min(step, across - 1) for step in steps}, torch.device("cpu"))
    at = at.take(torch.tensor(data.draw(st.lists(st.integers(0, len(at.slants) - 1), min_size=1))))
    x = torch.randn(2, (length + 1) * across, dtype=torch.float64, requires_grad=True)
    y = (
        torch.randn(len(at.slants), 2, at.count, dtype=torch.float64) * at.inside().unsqueeze(1)
    ).requires_grad_()
    forth, back = (at.second(x) * y).sum(), (x * at.sum_second(y)).sum()
    torch.testing.assert_close(forth, back)
    inside = at.inside().unsqueeze(1)
    for one, other in zip(
        torch.autograd.grad(forth, (x, y)), torch.autograd.grad(back, (x, y)), strict=True
    ):
        torch.testing.assert_close(*(g * inside if g.dim() == 3 else g for g in (one, other)))
    torch.testing.assert_close((at.first(x) * y).sum(), (x * at.sum_first(y)).sum())
