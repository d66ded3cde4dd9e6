"""How far two arrangements of the same arithmetic may differ."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def check_same(found: Tensor, expected: Tensor, leaves: Sequence[Tensor], tolerance: float = 1e-9) -> None:
    """Values, and gradients of all `leaves`, relative to the largest of each."""
    slope = torch.randn_like(expected)
    pairs = [(found, expected)]
    pairs += zip(*(torch.autograd.grad((out * slope).sum(), leaves) for out in (found, expected)), strict=True)
    for one, other in pairs:
        assert (one - other).abs().max() <= tolerance * (1e-6 + other.abs().max())
