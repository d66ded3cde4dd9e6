"""Small trained heads and their maps, and how far two arrangements of one arithmetic may differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn


def settle(module: nn.Module) -> Any:
    """In float64, with statistics of some training; no value on the edge of a ReLU, where rounding
    decides."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            for parameter in (part.weight, part.bias, part.running_mean, part.running_var):
                nn.init.uniform_(parameter, 0.5, 1.5)
    return module.double()


def given_maps(side: int) -> Callable[[Any], Any]:
    """Draws how many images, sizes of their maps up to `side`, the mode and a seed."""
    return given(
        images=st.integers(1, 3),
        height=st.integers(1, side),
        width=st.integers(1, side),
        training=st.booleans(),
        seed=st.integers(0, 2**32 - 1),
    )


def make_stages(images: int, height: int, width: int) -> list[Tensor]:
    """Stage 3 of 5 channels and stage 4 of 7, with gradients."""
    return [
        torch.randn(images, count, height, width, dtype=torch.float64, requires_grad=True)
        for count in (5, 7)
    ]


def leaves_of_logits(head: nn.Module, features: Sequence[Tensor]) -> list[Tensor]:
    """Stage 4, and the parameters of all but the supervision of stage 3."""
    named = head.named_parameters()
    return [features[-1], *(x for name, x in named if not name.startswith("deep."))]


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
        *(
            torch.autograd.grad((out * slope).sum(), leaves, materialize_grads=True)
            for out in (found, expected)
        ),
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
