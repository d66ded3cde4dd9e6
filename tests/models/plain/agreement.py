"""How far two arrangements of the same arithmetic may differ."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def check_same(
    found: Tensor,
    expected: Tensor,
    leaves: Sequence[Tensor],
    tolerance: float = 1e-9,
    floor: float = 1e-6,
) -> None:
    """Values, and gradients of all `leaves`, relative to the largest of each, or to `floor`.

    Gradients that are 0 by cancellation (of keys that are all alike, of a convolution before a norm
    of two values) leave nothing but rounding to compare with; `floor` is what counts as 0.
    """
    slope = torch.randn_like(expected)
    pairs = [(found, expected)]
    pairs += zip(
        *(torch.autograd.grad((out * slope).sum(), leaves) for out in (found, expected)),
        strict=True,
    )
    for one, other in pairs:
        assert (one - other).abs().max() <= tolerance * (floor + other.abs().max())


def make_map(channels: int, seed: int = 0) -> Tensor:
    """Two images of 5 x 7 positions, float64."""
    torch.manual_seed(seed)
    return torch.randn(2, channels, 5, 7, dtype=torch.float64)


def check_close(found: Tensor, expected: Tensor) -> None:
    """Equal but for rounding."""
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-10)
