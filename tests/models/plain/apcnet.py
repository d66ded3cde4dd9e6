"""APCNet as its released code arranges it: module by module, PyTorch's pools, all concatenated."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from geoseg.models.context.apcnet import APCNetHead


def classify(head: APCNetHead, features: Sequence[Tensor]) -> Tensor:
    """The main logits that `head` gives, with its weights."""
    contexts = [_context(head, index, features[-1]) for index in range(len(head.contexts))]
    return head.classify(head.fuse(torch.cat([features[-1], *contexts], 1)))


def _context(head: APCNetHead, index: int, features: Tensor) -> Tensor:
    module, scale = head.contexts[index], head.options.scales[index]
    x = module.reduce(features)
    guided = x
    if module.guide is not None:
        g = module.guide(F.adaptive_avg_pool2d(x, 1)).expand_as(x)
        guided = x + g if head.options.guidance == "add" else torch.cat([x, g], 1)
    alpha = module.affinity(guided).sigmoid().flatten(2)  # (N, s², h·w)
    y = module.subregions(F.adaptive_avg_pool2d(features, scale)).flatten(2)  # (N, C, s²)
    z = (alpha.transpose(1, 2) @ y.transpose(1, 2)).transpose(1, 2).reshape(x.shape)
    if module.residual is None:
        return z + x
    return module.fusion(F.relu(module.residual(z) + x))
