"""Segmentation losses: cross-entropy, Dice, focal, Lovász-softmax, OHEM, and sums over outputs.

Each loss takes the labelled pixels of the whole batch as one set, computes in float32 under mixed
precision and is 0, with zero gradients, for a batch without any label.
`tests/training/test_losses.py` holds these properties, and each loss to its definition written out
pixel by pixel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from geoseg.classes import NODATA
from geoseg.errors import ConfigError
from geoseg.models import Outputs
from geoseg.models.layers import at_least_float32
from geoseg.training.recipe import Recipe

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Of logits ``(N, classes, H, W)``, labels ``(N, H, W)`` int64 with 255 where unlabelled, and class
weights ``(classes,)``."""

BOUNDARY_RADIUS = 2
"""How far from another class a pixel still lies on the boundary, in pixels."""
_TINY = 1e-6


def make_loss(recipe: Recipe) -> Loss:
    """The weighted sum of losses that a recipe asks for, for the main logits."""
    known: dict[str, Loss] = {
        "cross_entropy": cross_entropy,
        "dice": lambda logits, labels, _: dice(logits, labels),
        "focal": lambda *batch: focal(*batch, gamma=recipe.focal_gamma),
        "lovasz": lambda logits, labels, _: lovasz(logits, labels),
        "ohem": lambda *batch: ohem_cross_entropy(
            *batch, threshold=recipe.ohem_threshold, share=recipe.ohem_share
        ),
    }
    chosen = [(known[name], weight) for name, weight in recipe.loss.items()]
    return lambda *batch: torch.stack([weight * loss(*batch) for loss, weight in chosen]).sum()


def median_frequency_weights(
    counts: NDArray[np.int64], clip: tuple[float, float] = (0.1, 10.0)
) -> NDArray[np.float32]:
    """``w_c = median(f) / f_c`` with ``f_c`` the share of class c in all labelled pixels.

    HCNet (arXiv 2010.04962) equations 6 and 7, taken literally: frequencies over the whole training
    set, not over the images that show the class. Absent classes do not enter the median and get
    weight 1. Clipping is ours: a class of a few hundred pixels would otherwise outweigh all others.

    Args:
        counts: ``(classes,)`` labelled pixels of each class.
        clip: the smallest and the largest weight.

    Returns:
        ``(classes,)`` float32.
    """
    present = counts > 0
    weights = np.ones(len(counts))
    if present.any():
        # The ratios of frequencies are those of counts.
        weights[present] = np.clip(np.median(counts[present]) / counts[present], *clip)
    return weights.astype(np.float32)


def choose_class_weights(recipe: Recipe, counts: NDArray[np.int64]) -> NDArray[np.float32]:
    """The ``(classes,)`` float32 weights that a recipe asks for.

    Raises:
        ConfigError: it gives another number of weights than there are classes.
    """
    if recipe.class_weights == "median":
        return median_frequency_weights(counts, recipe.class_weight_range)
    if recipe.class_weights == "none":
        return np.ones(len(counts), np.float32)
    weights = np.array(recipe.class_weights, np.float32)
    if len(weights) != len(counts):
        raise ConfigError(
            f"train.class_weights: {len(weights)} numbers for {len(counts)} classes; give one each"
        )
    return weights


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean cross-entropy of the labelled pixels; 0 for a batch without any.

    Args:
        logits: ``(N, classes, h, w)``; resized bilinearly to the labels.
        labels: ``(N, H, W)`` int64 class ids, 255 unlabelled.
        weights: ``(classes,)`` float32.
    """
    if logits.shape[2:] != labels.shape[1:]:
        logits = F.interpolate(
            logits.float(), size=labels.shape[1:], mode="bilinear", align_corners=False
        )
    total = F.cross_entropy(logits.float(), labels, weights, ignore_index=NODATA, reduction="sum")
    counts = torch.bincount(labels[labels != NODATA], minlength=len(weights))
    return total / (weights * counts).sum().clamp(min=_TINY)


def dice(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over the classes that the labels show of ``1 - 2 |p y| / (|p| + |y|)``.

    p are the probabilities of a class, and y is 1 where it is true, else 0. Milletari et al. 2016
    (arXiv 1606.04797) for several classes. Each class counts the same however large it is, so
    class weights do not enter.
    """
    from segmentation_models_pytorch.losses import DiceLoss  # seconds, where no encoder needs smp

    scores, ids = _labelled_pixels(logits, labels)  # (P, classes), (P,)
    if not len(ids):
        return scores.sum()
    # smp averages over all classes of the network unless it is given those that the labels show.
    loss: Tensor = DiceLoss("multiclass", classes=_shown_classes(ids))(
        scores.T[None],  # (1, classes, P)
        ids[None],
    )
    return loss


def focal(logits: Tensor, labels: Tensor, weights: Tensor, *, gamma: float = 2.0) -> Tensor:
    """Weighted mean of ``-(1 - p)^gamma log p``, p the probability of the true class.

    Lin et al. 2017 (arXiv 1708.02002) equation 5, with the class weights in the place of alpha.
    With gamma 0 it is the weighted cross-entropy: smp's FocalLoss is not, since it takes each class
    as a separate sigmoid, and weights classes instead of pixels.
    """
    scores, ids = _labelled_pixels(logits, labels)
    minus_log_p = F.cross_entropy(scores, ids, reduction="none")  # (P,)
    # Below 1e-6 the gradient of (1 - p)^gamma would be 0 times infinity for a gamma below 1.
    difficulty = (1 - (-minus_log_p).exp()).clamp(min=_TINY) ** gamma
    return _weighted_mean(difficulty * minus_log_p, weights[ids])


def lovasz(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over the classes that the labels show of the Lovász extension of ``1 - IoU``.

    It is taken at the errors ``|y - p|`` of the pixels. Berman, Triki and Blaschko 2018 (arXiv
    1705.08790) equations 8, 9 and 12; class weights do not enter.

    Not smp's LovaszLoss: it takes the steps of the Jaccard loss, which are about 1/P for P pixels,
    as differences of float32 numbers near 1, so that on a batch of 1024 x 1024 pixels its gradients
    are wrong by 2 %. It also gives no scalar for a batch without labels.
    """
    scores, ids = _labelled_pixels(logits, labels)
    probs = scores.softmax(1)
    losses = []
    for class_id in _shown_classes(ids).tolist():
        truth = ids == class_id
        errors, order = (truth.to(probs.dtype) - probs[:, class_id]).abs().sort(descending=True)
        # The Jaccard loss if exactly the first i pixels, those of the largest errors, were wrong:
        # 1 - |intersection| / |union|, in exact integers and then float64.
        sorted_truth = truth[order]
        intersection = sorted_truth.sum() - sorted_truth.cumsum(0)
        union = sorted_truth.sum() + (~sorted_truth).cumsum(0)
        jaccard = 1 - intersection.double() / union
        steps = jaccard.diff(prepend=jaccard.new_zeros(1))
        losses.append(errors @ steps.to(errors.dtype))
    return torch.stack(losses).mean() if losses else scores.sum()


def ohem_cross_entropy(
    logits: Tensor, labels: Tensor, weights: Tensor, *, threshold: float = 0.7, share: float = 0.1
) -> Tensor:
    """Weighted cross-entropy of the hard pixels alone.

    Online hard example mining, Shrivastava et al. 2016 (arXiv 1604.03540).

    Args:
        logits: ``(N, classes, H, W)``
        labels: ``(N, H, W)`` int64, 255 unlabelled.
        weights: ``(classes,)``
        threshold: a pixel is hard where its true class has at most this probability.
        share: at least this share of the labelled pixels counts as hard, the hardest first.
    """
    scores, ids = _labelled_pixels(logits, labels)
    if not len(ids):
        return scores.sum()
    minus_log_p = F.cross_entropy(scores, ids, reduction="none")  # (P,)
    least = minus_log_p.detach().topk(math.ceil(share * len(ids))).values[-1]
    hard = minus_log_p >= least.clamp(max=-math.log(threshold))
    return _weighted_mean(minus_log_p[hard], weights[ids][hard])


def segmentation_loss(
    outputs: Outputs,
    labels: Tensor,
    weights: Tensor,
    aux_weights: Mapping[str, float],
    main_loss: Loss = cross_entropy,
) -> Tensor:
    """The loss of the main logits plus the weighted cross-entropy of each auxiliary output.

    Auxiliaries named ``boundary...`` have 2 channels and learn where classes meet, without class
    weights. They too are resized to the labels: at feature size the two pixels of a boundary would
    be a broad band.

    Args:
        outputs: what a network gives in training mode.
        labels: ``(N, H, W)`` int64 class ids, 255 unlabelled.
        weights: ``(classes,)`` float32.
        aux_weights: by name, for each auxiliary output.
        main_loss: of the main logits.
    """
    loss = main_loss(outputs.logits, labels, weights)
    boundaries = None
    for name, logits in outputs.aux.items():
        if name.startswith("boundary"):
            boundaries = boundary_labels(labels) if boundaries is None else boundaries
            aux = cross_entropy(logits, boundaries, weights.new_ones(2))
        else:
            aux = cross_entropy(logits, labels, weights)
        loss = loss + aux_weights[name] * aux
    return loss


def boundary_labels(labels: Tensor) -> Tensor:
    """1 where another class is within `BOUNDARY_RADIUS`, else 0; 255 where there is no label.

    A pixel without a label makes no boundary, and neither does the edge of the image: that is where
    a window was cut, not where an object ends. (The released code of RANet marks both, and leaves
    class 0 out.)

    Args:
        labels: ``(N, H, W)`` int64 class ids, 255 unlabelled.

    Returns:
        ``(N, H, W)`` int64.
    """
    labelled = labels != NODATA
    near = torch.zeros_like(labelled)
    for down, right in _half_disc(BOUNDARY_RADIUS):
        one, other = _pixel_pairs(down, right)
        differ = (labels[one] != labels[other]) & labelled[one] & labelled[other]
        near[one] |= differ
        near[other] |= differ
    return near.long().masked_fill(~labelled, NODATA)


def _half_disc(radius: int) -> list[tuple[int, int]]:
    """Offsets within a radius, one of each opposite two: a pair of pixels is compared once.

    . . X o o       X the pixel itself
    . o o o .       o its partners, for radius 2
    . . o . .
    """
    return [
        (down, right)
        for down in range(radius + 1)
        for right in range(-radius, radius + 1)
        if (down, right) > (0, 0) and down**2 + right**2 <= radius**2
    ]


def _pixel_pairs(down: int, right: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Slices of ``(N, H, W)``: the pixels with a partner at this offset, and these partners."""
    upper, lower = slice(0, -down or None), slice(down, None)
    left, beyond = slice(0, -abs(right) or None), slice(abs(right), None)
    first, second = (left, beyond) if right >= 0 else (beyond, left)
    return (slice(None), upper, first), (slice(None), lower, second)


def _labelled_pixels(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Scores ``(P, classes)`` and class ids ``(P,)`` of the labelled pixels."""
    labelled = labels != NODATA
    return at_least_float32(logits).movedim(1, -1)[labelled], labels[labelled]


def _shown_classes(ids: Tensor) -> Tensor:
    return ids.bincount().nonzero().flatten()


def _weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum().clamp(min=_TINY)
