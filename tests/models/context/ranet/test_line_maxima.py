from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from geoseg.models.context.ranet.line_maxima import RingMaxima, line_maxima
from geoseg.models.context.ranet.pixel_pairs import Displacements, fan, lay
from tests.models.plain.agreement import check_same
from tests.models.plain.ranet import line_maximum


def all_steps(length: int, across: int, together: int = 1) -> Iterator[Displacements]:
    bounds = {step: min(step, across - 1) for step in range(1, length)}
    for first in range(1, length, together):
        some = {step: bounds[step] for step in range(first, min(first + together, length))}
        yield fan(length, across, some, torch.device("cpu"))


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
    for at in all_steps(width, height, together):
        maxima = line_maxima(lay(b.unsqueeze(0), False), at, ends)
        for m, (step, slant) in enumerate(zip(at.steps.tolist(), at.slants.tolist(), strict=True)):
            for number in at.inside()[m].nonzero().flatten().tolist():
                col, row = divmod(number, height)
                found.append(maxima[m, number])
                expected.append(line_maximum(b, (row, col), (row + slant, col + step), ends))
    check_same(torch.stack(found), torch.stack(expected) + 0 * b.sum(), [b])


@pytest.mark.parametrize("ends", [False, True])
def test_a_line_has_one_maximum_from_either_end(ends: bool) -> None:
    b = torch.rand(1, 7, 9, dtype=torch.float64)
    flat, turned = lay(b, False), lay(b.flip(1, 2), False)
    for at in all_steps(9, 7):
        forth, back = line_maxima(flat, at, ends), line_maxima(turned, at, ends)
        inside = at.inside()
        for m in range(
            len(at.slants)
        ):  # the pair (i, j) is (j, i), from the far corner, of the half turn
            torch.testing.assert_close(
                forth[m][inside[m]], back[m][inside[m]].flip(0), rtol=1e-12, atol=0
            )


def test_lines_between_neighbours_have_nothing_but_their_ends() -> None:
    flat = lay(torch.rand(1, 4, 5, requires_grad=True), False)
    at = fan(5, 4, {1: 0}, torch.device("cpu"))
    maxima = line_maxima(flat, at, False)
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
def test_ring_is_near_the_exact_maxima(kind: str, ends: bool) -> None:
    size, reach = 32, 16
    flat = lay(make_map(kind, size), False)
    steps = list(all_steps(size, size))
    ring = RingMaxima(flat, ends, steps[reach - 1])
    errors = []
    for at in steps[reach:]:
        error = (ring.maxima(at) - line_maxima(flat, at, ends)).abs()[at.inside()]
        errors.append(error)
    error = torch.cat(errors)
    assert error.mean() < 0.03
    assert error.flatten().kthvalue(int(0.99 * len(error))).values < 0.2
    assert error.max() < 0.7


def test_ring_is_exact_along_axes_and_diagonals() -> None:
    flat = lay(torch.rand(1, 9, 9, dtype=torch.float64), False)
    steps = list(all_steps(9, 9))
    for ends in (False, True):
        ring = RingMaxima(flat, ends, steps[0])
        for at in steps[1::2]:  # steps may be left out
            exact, found = line_maxima(flat, at, ends), ring.maxima(at)
            for slant in (-at.highest, 0, at.highest):
                m = slant + at.highest
                torch.testing.assert_close(found[m][at.inside()[m]], exact[m][at.inside()[m]])
