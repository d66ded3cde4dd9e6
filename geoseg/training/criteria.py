"""What the main logits are judged by: cross-entropy, Dice, focal, Lovász-softmax, hard pixels, or a sum of them.

All look at the labelled pixels of the whole batch as one set, count in float32 under mixed precision, and give 0 for a
batch without any label.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from geoseg.classes import NODATA
from geoseg.models.layers import wide
from geoseg.training.losses import cross_entropy
from geoseg.training.recipe import Recipe

Criterion = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Logits ``(N, classes, H, W)``, labels ``(N, H, W)`` int64 with 255 unlabelled, class weights ``(classes,)``."""


def choose_criterion(recipe: Recipe) -> Criterion:
    """The weighted sum of losses that a recipe asks for."""
    known: dict[str, Criterion] = {
        "cross_entropy": cross_entropy,
        "dice": lambda logits, labels, _: dice(logits, labels),
        "focal": lambda *batch: focal(*batch, gamma=recipe.focal_gamma),
        "lovasz": lambda logits, labels, _: lovasz(logits, labels),
        "ohem": lambda *batch: hard_pixels(
            *batch, threshold=recipe.ohem_threshold, share=recipe.ohem_share
        ),
    }
    chosen = [(known[name], weight) for name, weight in recipe.loss.items()]
    if len(chosen) == 1 and chosen[0][1] == 1:
        return chosen[0][0]
    return lambda *batch: torch.stack([weight * loss(*batch) for loss, weight in chosen]).sum()


def dice(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over the classes that the labels show of ``1 - 2 |p y| / (|p| + |y|)``, p the probabilities of a class.

    Milletari et al. 2016 (arXiv 1606.04797) for several classes, with plain sums in the denominator. Classes count
    alike however large they are, so class weights have no say.
    """
    scores, ids = _labelled(logits, labels)  # (P, K), (P,)
    probs, truth = scores.softmax(1), F.one_hot(ids, scores.shape[1]).to(scores.dtype)
    sizes = truth.sum(0)  # (K,)
    overlap = 2 * (probs * truth).sum(0) / (probs.sum(0) + sizes).clamp(min=1e-6)
    shown = (sizes > 0).to(scores.dtype)
    return ((1 - overlap) * shown).sum() / shown.sum().clamp(min=1)


def focal(logits: Tensor, labels: Tensor, weights: Tensor, *, gamma: float = 2.0) -> Tensor:
    """Weighted mean of ``-(1 - p)^gamma log p``, p the probability of the true class.

    Lin et al. 2017 (arXiv 1708.02002) equation 5, the class weights in the place of alpha. With gamma 0 it is the
    weighted cross-entropy.
    """
    scores, ids = _labelled(logits, labels)
    surprise = F.cross_entropy(scores, ids, reduction="none")  # -log p, (P,)
    # Below 1e-6 a gradient of (1 - p)^gamma would be 0 times infinity for a gamma below 1.
    ease = (1 - (-surprise).exp()).clamp(min=1e-6) ** gamma
    return _weighted_mean(ease * surprise, weights[ids])


def lovasz(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over the classes that the labels show of the Lovász extension of ``1 - IoU``, at the errors ``|y - p|``.

    Berman, Triki and Blaschko 2018 (arXiv 1705.08790) equations 8, 9 and 12. Class weights have no say.
    """
    scores, ids = _labelled(logits, labels)
    probs = scores.softmax(1)
    losses = []
    for shown in ids.bincount().nonzero().flatten().tolist():
        truth = ids == shown
        errors, order = (truth.to(probs.dtype) - probs[:, shown]).abs().sort(descending=True)
        true = truth[order]
        # Delta of the first i errors: 1 - |intersection| / |union| if exactly these pixels were wrong.
        left = (true.sum() - true.cumsum(0)).double()
        delta = 1 - left / (true.sum() + (~true).cumsum(0))
        losses.append(errors @ delta.diff(prepend=delta.new_zeros(1)).to(errors.dtype))
    return torch.stack(losses).mean() if losses else scores.sum()


def hard_pixels(
    logits: Tensor, labels: Tensor, weights: Tensor, *, threshold: float = 0.7, share: float = 0.1
) -> Tensor:
    """Weighted cross-entropy of the hard pixels alone (online hard example mining, Shrivastava et al. 2016).

    Args:
        logits: ``(N, classes, H, W)``
        labels: ``(N, H, W)`` int64, 255 unlabelled.
        weights: ``(classes,)``
        threshold: a pixel is hard where its true class has at most this probability.
        share: at least this share of the labelled pixels counts as hard, the hardest first.
    """
    scores, ids = _labelled(logits, labels)
    surprise = F.cross_entropy(scores, ids, reduction="none")
    if not len(ids):
        return surprise.sum()
    least = surprise.detach().topk(math.ceil(share * len(ids))).values[-1]
    hard = surprise >= least.clamp(max=-math.log(threshold))
    return _weighted_mean(surprise[hard], weights[ids][hard])


def _labelled(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Scores ``(P, classes)`` and class ids ``(P,)`` of the labelled pixels."""
    known = labels != NODATA
    return wide(logits).movedim(1, -1)[known], labels[known]


def _weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum().clamp(min=1e-6)
