"""Jensen-Shannon divergence of the class probabilities of two pixels: E, RANet's eq. (2).

The equation as printed is not a divergence: it gives -55.9 for two equal uniform distributions over
19 classes. Here are the divergence that the paper names (`FullDivergence`) and the one of its
released code (`BinaryDivergence`).
"""

import math
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor

from geoseg.models.context.ranet.pixel_pairs import PixelPairs

SMALLEST = 1e-30
"""The least probability: keeps logarithms off zero; ``p log p`` is 0 there to all digits."""
MAX_TERMS = 2**17
"""Terms of a sum over classes held at once: they stay in the cache and reuse the same memory."""

DivergenceKind = Literal["full2", "binary_argmax"]


def negative_entropy(p: Tensor, dim: int) -> Tensor:
    """Sum of ``p log2 p``, in bits."""
    return (p.log2() * p).sum(dim)


class FullDivergence:
    """H((p + q) / 2) - (H(p) + H(q)) / 2 in bits over all classes.

    In [0, 1], symmetric, 0 for equal p and q.
    """

    def __init__(self, probabilities: Tensor) -> None:
        """Of flat maps ``(K, T)``."""
        p = probabilities.clamp(min=SMALLEST)
        self.tensors = p / 2, negative_entropy(p, 0).unsqueeze(0)

    @staticmethod
    def between(pairs: PixelPairs, half: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
        """``(m, positions)`` E_ij and E_ji; of pairs that are not inside, anything finite.

        Args:
            pairs: which pixels i and j.
            half: ``(K, T)`` halved probabilities, so that p/2 of i and of j add up to the mean.
            own: ``(1, T)`` negative entropies of each pixel.
        """
        mixed: Tensor = _MixedEntropy.apply(half, pairs)  # -H((p + q) / 2)
        of_both = (pairs.first(own) + pairs.second(own)[:, 0]) / 2  # -(H(p) + H(q)) / 2
        found = (of_both - mixed).clamp(0, 1)
        return found, found


class _MixedEntropy(torch.autograd.Function):
    """`negative_entropy` of the pairs' mean distributions m, for which nothing is kept.

    The gradient of sum m log2 m is log2 m + 1 / ln 2, and m is made once more for it.
    """

    @staticmethod
    def forward(ctx: Any, half: Tensor, pairs: PixelPairs) -> Tensor:
        ctx.pairs = pairs
        ctx.save_for_backward(half)
        return torch.cat([negative_entropy(m, 1) for _, m in _means(half.detach(), pairs)])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (half,) = ctx.saved_tensors
        total, first = torch.zeros_like(half), 0
        for part, m in _means(half.detach(), ctx.pairs):
            share = grad[first : first + len(m)].unsqueeze(1)
            first += len(m)
            terms = m.log2_().add_(1 / math.log(2)).mul_(share)
            total += part.sum_at_first(terms) + part.sum_at_second(terms)
        return total, None


def _means(half: Tensor, pairs: PixelPairs) -> Iterator[tuple[PixelPairs, Tensor]]:
    """Some offsets at a time, and the mean distributions ``(m, K, positions)`` of their pairs."""
    for part in pairs.split(MAX_TERMS // len(half)):
        yield part, part.second(half).add_(part.first(half))


class BinaryDivergence:
    """The released code's: of "class c or not", c the likeliest class of i, in nats: [0, ln 2].

    Not symmetric, as E_ji takes j's class. Probabilities are held in [0.001, 0.99].
    """

    def __init__(self, probabilities: Tensor) -> None:
        """Of flat maps ``(K, T)``."""
        likeliest = probabilities.argmax(0, keepdim=True)
        self.tensors = probabilities.clamp(0.001, 0.99), likeliest

    @staticmethod
    def between(pairs: PixelPairs, p: Tensor, likeliest: Tensor) -> tuple[Tensor, Tensor]:
        """``(m, positions)`` E_ij and E_ji; of pairs that are not inside, anything finite."""
        size = p.shape[1]
        i = torch.arange(pairs.positions, device=p.device)
        j = (i + pairs.shifts.unsqueeze(1)).clamp(max=size - 1)
        class_i, class_j = (likeliest[0].take(pixel) * size for pixel in (i, j))  # rows of flat p
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
