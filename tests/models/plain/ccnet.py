"""Criss-cross attention as one masked attention over all pairs of positions."""

from __future__ import annotations

import torch
from torch import Tensor

from geoseg.models.context.ccnet import CrissCrossAttention


def attend(module: CrissCrossAttention, x: Tensor) -> Tensor:
    """The module's map ``(N, C, h, w)`` with the (h·w) x (h·w) matrix that it never makes."""
    height, width = x.shape[2:]
    q, k, v = (conv(x).flatten(2) for conv in (module.query, module.key, module.value))
    row = torch.arange(height).repeat_interleave(width)
    column = torch.arange(width).repeat(height)
    seen = (row[:, None] == row) | (column[:, None] == column)
    weights = (q.transpose(1, 2) @ k).masked_fill(~seen, -torch.inf).softmax(2)
    return x + module.alpha * (v @ weights.transpose(1, 2)).reshape(x.shape)
