"""A second network that follows the trained one slowly: smoother, and usually better."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Net = TypeVar("Net", bound=nn.Module)


class Average(Generic[Net]):
    """The exponential moving average of a network's weights and running statistics."""

    def __init__(self, net: Net, decay: float) -> None:
        self.net: Net = copy.deepcopy(net).eval().requires_grad_(requires_grad=False)
        """In eval mode, on the device of the network that it began as a copy of."""
        self._decay = decay

    @torch.no_grad()
    def update(self, net: Net, step: int) -> None:
        """Move towards a network after an optimizer step: ``average = d average + (1 - d) net``.

        The decay d rises as ``min(decay, (1 + step) / (10 + step))``, so that the random weights of the beginning are
        soon forgotten. Whole numbers (counters) are copied.

        Args:
            net: the trained network.
            step: counted from 0.
        """
        decay = min(self._decay, (1 + step) / (10 + step))
        slow, fast = _floats(self.net), _floats(net)
        torch._foreach_lerp_(slow, fast, 1.0 - decay)
        for mine, theirs in zip(self.net.buffers(), net.buffers(), strict=True):
            if not mine.is_floating_point():
                mine.copy_(theirs)


def _floats(net: nn.Module) -> list[Tensor]:
    return [tensor for tensor in (*net.parameters(), *net.buffers()) if tensor.is_floating_point()]
