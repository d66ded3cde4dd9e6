"""Published heads and those of geoseg with the same weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from geoseg.importing.blueprint import Blueprint
from geoseg.importing.placing import Entry, Placing, Wishes
from geoseg.models import HEADS

MIDDLE, DEEP, CLASSES = 12, 16, 5
"""Channels of stage 3 and of stage 4, and classes."""
Tensors = Mapping[str, Tensor]


def settle(net: nn.Module, seed: int = 0) -> nn.Module:
    """A network in eval mode with weights, norms and gates as after some training."""
    torch.manual_seed(seed)
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            for tensor in (part.weight, part.bias, part.running_mean, part.running_var):
                nn.init.uniform_(tensor, 0.5, 1.2)
        elif isinstance(part, nn.Conv2d) and part.bias is not None:
            nn.init.uniform_(part.bias, -0.5, 0.5)
    return net.eval()


def assert_within(found: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    """The same but for rounding, relative to the largest."""
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= tolerance * expected.abs().max().clamp(min=1)


def check_head(
    published: nn.Module, prefix: str, read: Callable[[Tensors], Blueprint], channels: Sequence[int]
) -> tuple[Blueprint, list[Entry]]:
    """Import a head alone and compare its logits; what the names said, and the account.

    Args:
        published: in eval mode; it takes maps of `channels`.
        prefix: what stands before its names in a file.
        read: gives the blueprint.
        channels: of the maps; those of one width are one map.
    """
    tensors = {f"{prefix}{name}": tensor for name, tensor in published.state_dict().items()}
    blueprint = read(tensors)
    head_class = HEADS[blueprint.system]
    own = channels[-head_class.stages :]
    head = head_class(own, CLASSES, blueprint.preset, **blueprint.options).eval()
    wanted = {f"head.{name}": tensor for name, tensor in head.state_dict().items()}
    placing = Placing("a.pth", blueprint.system, wanted, Wishes())
    placed = placing.place(tensors, blueprint.rules)
    head.load_state_dict({name.removeprefix("head."): tensor for name, tensor in placed.items()})
    torch.manual_seed(1)
    made = {count: torch.randn(2, count, 9, 13) for count in channels}
    maps = [made[count] for count in channels]
    with torch.no_grad():
        assert_within(head(maps[-head_class.stages :]).logits, published(maps))
    told = sorted(name for entry in placing.entries() for name in entry.tensors)
    assert told == sorted(tensors)
    return blueprint, placing.entries()
