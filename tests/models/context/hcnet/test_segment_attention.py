from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from geoseg.models.context.hcnet.segment_attention import segment_sums


def quadratic(q: Tensor, k: Tensor, v: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The definition: the full matrix of pairs, zero between segments."""
    pairs = (q @ k.transpose(1, 2)) * (labels.unsqueeze(2) == labels.unsqueeze(1))
    return pairs @ v, pairs.sum(2, keepdim=True)


partitions = st.tuples(
    st.integers(1, 3),
    st.integers(1, 400),
    st.integers(1, 7),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)


def inputs(
    images: int, elements: int, segments: int, seed: int, skewed: bool
) -> tuple[Tensor, ...]:
    torch.manual_seed(seed)
    q, k = (torch.randn(images, elements, 3, dtype=torch.float64).relu() for _ in range(2))
    v = torch.randn(images, elements, 5, dtype=torch.float64)
    # If skewed, most elements are in segment 0 and some segments are empty.
    spread = torch.rand(images, elements) ** (6 if skewed else 1)
    return q, k, v, (spread * segments).long()


@settings(max_examples=60, deadline=None)
@given(partitions)
def test_sums_and_gradients_equal_the_quadratic_definition(
    partition: tuple[int, int, int, int, bool],
) -> None:
    q, k, v, labels = inputs(*partition)
    results = []
    for function in (
        lambda *x: segment_sums(*x, labels, partition[2]),
        lambda *x: quadratic(*x, labels),
    ):
        leaves = [x.clone().requires_grad_() for x in (q, k, v)]
        sums, weights = function(*leaves)
        weight = torch.linspace(-1, 1, sums.numel(), dtype=torch.float64).reshape(sums.shape)
        ((sums * weight).sum() + (weights**2).sum()).backward()
        results.append([sums, weights, *(leaf.grad for leaf in leaves)])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("elements", [1, 127, 128, 129, 1000])
def test_images_of_a_batch_do_not_touch_each_other(elements: int) -> None:
    q, k, v, labels = inputs(4, elements, 6, 1, True)
    before = segment_sums(q, k, v, labels, 6)
    for x in (q, k, v):
        x[1:] = 7.0
    labels[1:] = 5 - labels[1:]
    after = segment_sums(q, k, v, labels, 6)
    assert all(torch.equal(x[0], y[0]) for x, y in zip(before, after, strict=True))


def test_float32_sums_over_many_elements_stay_near_float64() -> None:
    q, k, v, labels = inputs(1, 8192, 4, 2, True)
    means = [
        s / w
        for s, w in (
            segment_sums(q, k, v, labels, 4),
            segment_sums(q.float(), k.float(), v.float(), labels, 4),
        )
    ]
    alive = (q.sum(2) > 0.1).squeeze(0)
    torch.testing.assert_close(
        means[1].double()[0, alive], means[0][0, alive], rtol=1e-4, atol=1e-5
    )
