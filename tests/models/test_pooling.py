from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from geoseg.models.pooling import adaptive_pool, pool_pyramid


@given(st.integers(1, 3), st.integers(1, 40), st.integers(1, 40), st.integers(1, 8), st.booleans())
def test_means_and_gradients_equal_the_library_s_pooling(
    images: int, height: int, width: int, size: int, channels_last: bool
) -> None:
    x = torch.randn(images, 3, height, width, dtype=torch.float64)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    slope = torch.randn(images, 3, size, size, dtype=torch.float64)
    results = []
    for pool in (adaptive_pool, F.adaptive_avg_pool2d):
        leaf = x.clone().requires_grad_()
        means = pool(leaf, size)
        (gradient,) = torch.autograd.grad((means * slope).sum(), leaf)
        results.append((means, gradient))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_a_pyramid_lays_its_sizes_one_after_another() -> None:
    x = torch.randn(2, 3, 13, 9, dtype=torch.float64)
    expected = torch.cat([adaptive_pool(x, size).flatten(2) for size in (1, 2, 6)], 2)
    torch.testing.assert_close(pool_pyramid(x, (1, 2, 6)), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_low_precision_is_summed_in_float32(dtype: torch.dtype) -> None:
    x = torch.rand(1, 2, 64, 64).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        means = adaptive_pool(x, 1)
    assert means.dtype == torch.float32
    torch.testing.assert_close(
        means[..., 0, 0].double(), x.double().mean((2, 3)), rtol=1e-5, atol=0
    )
