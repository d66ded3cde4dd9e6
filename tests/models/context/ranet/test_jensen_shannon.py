from __future__ import annotations

import math

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import rel_entr
from torch import Tensor

from geoseg.models.context.ranet.jensen_shannon import BinaryDivergence, FullDivergence
from geoseg.models.context.ranet.pixel_pairs import flatten_map, pairs_up_to

PAIR = pairs_up_to(2, 1, {1: 0}, torch.device("cpu"))


def draw(classes: int, sharpness: float, seed: int) -> Tensor:
    torch.manual_seed(seed)
    return (sharpness * torch.randn(classes, 1, 2, dtype=torch.float64)).softmax(0)


def both(p: Tensor, kind: type[FullDivergence | BinaryDivergence]) -> tuple[float, float]:
    e_ij, e_ji = kind.between(PAIR, *kind(flatten_map(p, False)).tensors)
    return float(e_ij), float(e_ji)


def divergence(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    """In nats. Not scipy's Jensen-Shannon distance, a root that is NaN a little below 0."""
    # Half of the smallest number is 0, to which scipy's relative entropy is infinite.
    p, q = (np.where(x < 1e-300, 0, x) for x in (p, q))
    middle = (p + q) / 2
    return float((rel_entr(p, middle) + rel_entr(q, middle)).sum() / 2)


distributions = st.builds(draw, st.integers(2, 19), st.floats(0, 300), st.integers(0, 2**32 - 1))


@given(distributions)
def test_full_divergence_is_scipy_s_in_bits_and_symmetric(p: Tensor) -> None:
    e_ij, e_ji = both(p, FullDivergence)
    expected = divergence(p[:, 0, 0].numpy(), p[:, 0, 1].numpy()) / math.log(2)
    assert math.isclose(e_ij, expected, abs_tol=1e-9)
    assert e_ij == e_ji
    assert 0 <= e_ij <= 1


@given(distributions)
def test_divergence_of_equals_is_zero(p: Tensor) -> None:
    p = p[:, :, :1].expand(-1, -1, 2)
    assert both(p, FullDivergence)[0] < 1e-12
    assert max(both(p, BinaryDivergence)) < 1e-12


@given(distributions)
def test_binary_divergence_is_that_of_the_first_pixel_s_class(p: Tensor) -> None:
    def of(one: Tensor, other: Tensor) -> float:
        top = one.argmax()
        chances = [float(x[top].clamp(0.001, 0.99)) for x in (one, other)]
        return divergence(*(np.array([x, 1 - x]) for x in chances))

    e_ij, e_ji = both(p, BinaryDivergence)
    first, second = p[:, 0, 0], p[:, 0, 1]
    assert math.isclose(e_ij, of(first, second), abs_tol=1e-9)
    assert math.isclose(e_ji, of(second, first), abs_tol=1e-9)
    assert 0 <= min(e_ij, e_ji) <= max(e_ij, e_ji) <= math.log(2)


def test_classes_without_any_probability_have_finite_gradients() -> None:
    logits = torch.tensor([[[1e4, -1e4]], [[-1e4, 1e4]]], requires_grad=True)
    e, _ = FullDivergence.between(
        PAIR, *FullDivergence(flatten_map(logits.softmax(0), False)).tensors
    )
    assert e.item() == 1
    assert torch.autograd.grad(e.sum(), logits)[0].isfinite().all()
