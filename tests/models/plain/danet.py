"""Both attentions of DANet with their matrices written out."""

from __future__ import annotations

from torch import Tensor

from geoseg.models.context.danet import ChannelAttention, PositionAttention


def attend_positions(module: PositionAttention, x: Tensor) -> Tensor:
    """Equations (1) and (2)."""
    b, c, d = (conv(x).flatten(2) for conv in (module.query, module.key, module.value))
    s = (b.transpose(1, 2) @ c).softmax(2)  # row j: how much position j takes from each i
    return module.alpha * (d @ s.transpose(1, 2)).reshape(x.shape) + x


def attend_channels(module: ChannelAttention, x: Tensor) -> Tensor:
    """Equations (3), its energies taken from their rows' largest, and (4)."""
    a = x.flatten(2)
    energy = a @ a.transpose(1, 2)
    weights = (energy.max(2, keepdim=True).values - energy).softmax(2)
    return module.alpha * (weights @ a).reshape(x.shape) + x
