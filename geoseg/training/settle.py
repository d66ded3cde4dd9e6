"""Normalisation statistics measured anew, over training batches that one network sees as it now is.

Running statistics lag behind the weights and remember a few tens of patches; where batches are small, layers that see
one vector an image (pooled contexts) or a region (classes) are normalised in eval mode by numbers that fit nothing.
Source: Wu and Johnson, Rethinking "Batch" in BatchNorm, 2021, https://arxiv.org/abs/2105.07576, section 3 (PreciseBN).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from geoseg.models import Segmenter


@torch.no_grad()
def settled(net: Segmenter, inputs: Iterable[Tensor]) -> Segmenter:
    """A copy of a network in eval mode whose normalisation statistics are the mean of those of the given batches.

    Args:
        net: is not changed.
        inputs: ``(N, C, H, W)`` normalised images each, at least one.
    """
    copied = copy.deepcopy(net).train()
    norms = [module for module in copied.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for module in copied.modules():
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.eval()  # what is dropped in training is there in eval
    for number, x in enumerate(inputs, 1):
        for norm in norms:
            norm.momentum = 1 / number  # the mean over the batches so far
        copied(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return copied.eval()
