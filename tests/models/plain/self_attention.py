"""Self-attention with the matrix of all pairs written out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from geoseg.models.context.self_attention import SelfAttentionHead


def classify(head: SelfAttentionHead, features: Sequence[Tensor]) -> Tensor:
    """The head's logits."""
    x = head.reduce(features[-1])
    query, key, value = (project(x).flatten(2) for project in (head.query, head.key, head.value))
    weights = (query.transpose(1, 2) @ key * query.shape[1] ** -0.5).softmax(2)
    context = head.out((value @ weights.transpose(1, 2)).reshape(query.shape[:2] + x.shape[2:]))
    return head.classify(head.fuse(torch.cat([context, x], 1)))
