"""Jensen-Shannon divergences between the class probabilities of two positions: RANet's eq. (2)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor

from geoseg.models.context.ranet.pixel_pairs import Displacements

LEAST = 1e-30
"""Keeps logarithms off zero; ``p log p`` is 0 there to all digits."""

TERMS = 2**17
"""Terms of a sum over classes that are held at once: they stay in the cache, and no new memory is asked for."""

Kind = Literal["full2", "binary_argmax"]


def information(p: Tensor, dim: int) -> Tensor:
    """Sum of ``p log2 p``, the negative entropy in bits."""
    return (p.log2() * p).sum(dim)


class FullDivergence:
    """H((p + q) / 2) - (H(p) + H(q)) / 2 in bits, over all classes: in [0, 1], symmetric, 0 for equal p and q.

    Eq. (2) as it is printed gives -55.9 for two equal uniform distributions over 19 classes; this is the divergence
    that the paper names.
    """

    def __init__(self, probabilities: Tensor) -> None:
        """Of flat maps ``(K, T)``."""
        p = probabilities.clamp(min=LEAST)
        self.tensors = p / 2, information(p, 0).unsqueeze(0)

    @staticmethod
    def pairs(at: Displacements, half: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """``(m, count)`` E_ij and E_ji of the pairs; of those that are not inside, anything finite."""
        mixed: Tensor = _MixedInformation.apply(half, at)
        found = ((at.first(known) + at.second(known)[:, 0]) / 2 - mixed).clamp(0, 1)
        return found, found


class _MixedInformation(torch.autograd.Function):
    """`information` of the pairs' mean distributions. Its gradient is ``log2 m + 1 / ln 2``: nothing need be kept."""

    @staticmethod
    def forward(ctx: Any, half: Tensor, at: Displacements) -> Tensor:
        ctx.at = at
        ctx.save_for_backward(half)
        return torch.cat([information(mix, 1) for _, mix in _mixed(half.detach(), at)])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (half,) = ctx.saved_tensors
        total, first = torch.zeros_like(half), 0
        for part, mix in _mixed(half.detach(), ctx.at):
            share = grad[first : (first := first + len(mix))].unsqueeze(1)
            terms = mix.log2_().add_(1 / math.log(2)).mul_(share)
            total += part.sum_first(terms) + part.sum_second(terms)
        return total, None


def _mixed(half: Tensor, at: Displacements) -> Iterator[tuple[Displacements, Tensor]]:
    """The pairs' mean distributions ``(m, K, count)``, some displacements at a time."""
    for part in at.split(TERMS // len(half)):
        yield part, part.second(half).add_(part.first(half))


class BinaryDivergence:
    """The divergence of the released code: of "class c or not", c the likeliest class of i, in nats: in [0, ln 2].

    Not symmetric: E_ji takes j's class. Probabilities are held in [0.001, 0.99].
    """

    def __init__(self, probabilities: Tensor) -> None:
        """Of flat maps ``(K, T)``."""
        top = probabilities.argmax(0, keepdim=True)
        self.tensors = probabilities.clamp(0.001, 0.99), top

    @staticmethod
    def pairs(at: Displacements, p: Tensor, top: Tensor) -> tuple[Tensor, Tensor]:
        """``(m, count)`` E_ij and E_ji of the pairs; of those that are not inside, anything finite."""
        size = p.shape[1]
        i = torch.arange(at.count, device=p.device)
        j = (i + (at.steps * at.across + at.slants).unsqueeze(1)).clamp(max=size - 1)
        class_i, class_j = top[0].take(i) * size, top[0].take(j) * size
        flat = p.flatten()
        return (
            binary_divergence(flat.take(class_i + i), flat.take(class_i + j)),
            binary_divergence(flat.take(class_j + j), flat.take(class_j + i)),
        )


def binary_divergence(p: Tensor, q: Tensor) -> Tensor:
    """Jensen-Shannon divergence in nats of two probabilities of one event, both in (0, 1)."""
    m = (p + q) / 2

    def entropy(x: Tensor) -> Tensor:
        return -(x * x.log() + (1 - x) * (1 - x).log())

    return (entropy(m) - (entropy(p) + entropy(q)) / 2).clamp(0, math.log(2))
