from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from geoseg.models.context.ranet.line_maxima import LongLineMaxima, line_maxima
from geoseg.models.context.ranet.pixel_pairs import PixelPairs, flatten_map, pairs_up_to
from tests.models.plain.agreement import check_same
from tests.models.plain.ranet import line_maximum


def all_pairs(major: int, minor: int, together: int = 1) -> Iterator[PixelPairs]:
    bounds = {step: min(step, minor - 1) for step in range(1, major)}
    for first in range(1, major, together):
        some = {step: bounds[step] for step in range(first, min(first + together, major))}
        yield pairs_up_to(major, minor, some, torch.device("cpu"))


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 6),
    st.integers(2, 6),
    st.integers(1, 5),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_maxima_and_gradients_equal_a_loop_over_pairs(
    height: int, width: int, together: int, ends: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    b = torch.rand(height, width, dtype=torch.float64, requires_grad=True)
    found, expected = [], []
    for pairs in all_pairs(width, height, together):
        maxima = line_maxima(flatten_map(b.unsqueeze(0), False), pairs, ends)
        for m, (step, slant) in enumerate(
            zip(pairs.major.tolist(), pairs.minor.tolist(), strict=True)
        ):
            for number in pairs.inside()[m].nonzero().flatten().tolist():
                col, row = divmod(number, height)
                found.append(maxima[m, number])
                expected.append(line_maximum(b, (row, col), (row + slant, col + step), ends))
    check_same(torch.stack(found), torch.stack(expected) + 0 * b.sum(), [b])


@pytest.mark.parametrize("ends", [False, True])
def test_a_line_has_one_maximum_from_either_end(ends: bool) -> None:
    b = torch.rand(1, 7, 9, dtype=torch.float64)
    flat, turned = flatten_map(b, False), flatten_map(b.flip(1, 2), False)
    for pairs in all_pairs(9, 7):
        forth, back = line_maxima(flat, pairs, ends), line_maxima(turned, pairs, ends)
        inside = pairs.inside()
        for m in range(
            len(pairs.minor)
        ):  # the pair (i, j) is (j, i), from the far corner, of the half turn
            torch.testing.assert_close(
                forth[m][inside[m]], back[m][inside[m]].flip(0), rtol=1e-12, atol=0
            )


def test_lines_between_neighbours_have_nothing_but_their_ends() -> None:
    flat = flatten_map(torch.rand(1, 4, 5, requires_grad=True), False)
    pairs = pairs_up_to(5, 4, {1: 0}, torch.device("cpu"))
    maxima = line_maxima(flat, pairs, False)
    assert not maxima.any()
    assert not torch.autograd.grad(maxima.sum(), flat)[0].any()


def make_map(kind: str, size: int) -> Tensor:
    torch.manual_seed(0)
    noise = torch.rand(1, 1, size, size)
    if kind == "edges":  # thin lines between areas, as a boundary map has them
        areas = F.interpolate(
            torch.randn(1, 6, size // 8, size // 8), size=(size, size), mode="bilinear"
        ).argmax(1)
        edges = (areas[:, 1:, 1:] != areas[:, :-1, 1:]) | (areas[:, 1:, 1:] != areas[:, 1:, :-1])
        noise = 0.8 * F.pad(edges.double(), (1, 0, 1, 0)).unsqueeze(0) + 0.2 * noise
    return noise[0].double()


@pytest.mark.parametrize("kind", ["noise", "edges"])
@pytest.mark.parametrize("ends", [False, True])
def test_long_lines_are_near_the_exact_maxima(kind: str, ends: bool) -> None:
    size, reach = 32, 16
    flat = flatten_map(make_map(kind, size), False)
    steps = list(all_pairs(size, size))
    longer = LongLineMaxima(flat, ends, steps[reach - 1])
    errors = []
    for pairs in steps[reach:]:
        error = (longer.maxima(pairs) - line_maxima(flat, pairs, ends)).abs()[pairs.inside()]
        errors.append(error)
    error = torch.cat(errors)
    assert error.mean() < 0.03
    assert error.flatten().kthvalue(int(0.99 * len(error))).values < 0.2
    assert error.max() < 0.7


def test_long_lines_are_exact_along_axes_and_diagonals() -> None:
    flat = flatten_map(torch.rand(1, 9, 9, dtype=torch.float64), False)
    steps = list(all_pairs(9, 9))
    for ends in (False, True):
        longer = LongLineMaxima(flat, ends, steps[0])
        for pairs in steps[1::2]:  # steps may be left out
            exact, found = line_maxima(flat, pairs, ends), longer.maxima(pairs)
            for slant in (-pairs.longest, 0, pairs.longest):
                m = slant + pairs.longest
                torch.testing.assert_close(found[m][pairs.inside()[m]], exact[m][pairs.inside()[m]])
