"""Each loss against its definition written out pixel by pixel in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from geoseg.training.criteria import choose_criterion, dice, focal, hard_pixels, lovasz
from geoseg.training.losses import cross_entropy
from geoseg.training.recipe import Recipe

WEIGHTS = torch.tensor([1.0, 0.5, 3.0, 0.2], dtype=torch.float64)
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": lambda logits, labels: cross_entropy(logits, labels, WEIGHTS.float()),
    "dice": dice,
    "focal": lambda logits, labels: focal(logits, labels, WEIGHTS.to(logits)),
    "lovasz": lovasz,
    "ohem": lambda logits, labels: hard_pixels(logits, labels, WEIGHTS.to(logits)),
}

Pixels = list[tuple[np.ndarray, int]]


def batch(seed: int, classes_shown: int = 3) -> tuple[Tensor, Tensor, Pixels]:
    """Logits of 4 classes, labels that show only some and are partly 255, and both as plain pixels."""
    torch.manual_seed(seed)
    logits = 3 * torch.randn(2, 4, 5, 6, dtype=torch.float64)
    labels = torch.randint(0, classes_shown, (2, 5, 6))
    labels[0, :2] = 255
    probs = torch.softmax(logits, 1)
    pixels = [
        (probs[n, :, row, col].numpy(), int(label))
        for (n, row, col), label in np.ndenumerate(labels)
        if label != 255
    ]
    return logits.requires_grad_(), labels, pixels


def plain_dice(pixels: Pixels) -> float:
    terms = []
    for shown in sorted({label for _, label in pixels}):
        both = sum(probs[shown] for probs, label in pixels if label == shown)
        sizes = sum(probs[shown] for probs, _ in pixels) + sum(
            label == shown for _, label in pixels
        )
        terms.append(1 - 2 * both / sizes)
    return float(np.mean(terms))


def plain_focal(pixels: Pixels, gamma: float) -> float:
    weights = [float(WEIGHTS[label]) for _, label in pixels]
    terms = [-((1 - probs[label]) ** gamma) * math.log(probs[label]) for probs, label in pixels]
    return float(np.average(terms, weights=weights))


def plain_lovasz(pixels: Pixels) -> float:
    """Sum of sorted errors times the growth of the Jaccard loss when their pixels are wrong, one after the other."""

    def jaccard_loss(truth: set[int], wrong: set[int]) -> float:
        return 1 - len(truth - wrong) / len(truth | wrong)

    terms = []
    for shown in sorted({label for _, label in pixels}):
        truth = {index for index, (_, label) in enumerate(pixels) if label == shown}
        errors = [abs((label == shown) - probs[shown]) for probs, label in pixels]
        order = sorted(range(len(pixels)), key=lambda index: -errors[index])
        grown = [jaccard_loss(truth, set(order[:count])) for count in range(len(order) + 1)]
        terms.append(
            sum(errors[pixel] * (grown[i + 1] - grown[i]) for i, pixel in enumerate(order))
        )
    return float(np.mean(terms))


def plain_hard_pixels(pixels: Pixels, threshold: float, share: float) -> float:
    ranked = sorted(pixels, key=lambda pixel: pixel[0][pixel[1]])
    at_least = math.ceil(share * len(ranked))
    hard = [p for index, p in enumerate(ranked) if index < at_least or p[0][p[1]] <= threshold]
    weights = [float(WEIGHTS[label]) for _, label in hard]
    return float(np.average([-math.log(probs[label]) for probs, label in hard], weights=weights))


@pytest.mark.parametrize("seed", range(4))
def test_each_loss_equals_its_definition(seed: int) -> None:
    logits, labels, pixels = batch(seed)
    assert float(dice(logits, labels).detach()) == pytest.approx(plain_dice(pixels), rel=1e-12)
    assert float(lovasz(logits, labels).detach()) == pytest.approx(plain_lovasz(pixels), rel=1e-6)
    for gamma in (0.0, 0.5, 2.0):
        found = float(focal(logits, labels, WEIGHTS, gamma=gamma).detach())
        assert found == pytest.approx(plain_focal(pixels, gamma), rel=1e-9)
    for threshold, share in ((0.7, 0.1), (0.01, 0.3), (0.999, 0.01), (0.5, 1.0)):
        found = float(
            hard_pixels(logits, labels, WEIGHTS, threshold=threshold, share=share).detach()
        )
        assert found == pytest.approx(plain_hard_pixels(pixels, threshold, share), rel=1e-12)


def test_gradients_are_those_of_finite_differences() -> None:
    _, labels, _ = batch(0)
    for loss in (dice, lovasz, LOSSES["focal"], LOSSES["ohem"]):
        logits, _, _ = batch(1)
        assert torch.autograd.gradcheck(
            lambda given, loss=loss: loss(given, labels), logits, eps=1e-7, atol=1e-5
        )


def test_focal_without_gamma_and_hard_pixels_of_all_are_the_cross_entropy() -> None:
    logits, labels, _ = batch(5)
    expected = float(cross_entropy(logits, labels, WEIGHTS.float()).detach())
    for loss in (
        focal(logits, labels, WEIGHTS, gamma=0.0),
        hard_pixels(logits, labels, WEIGHTS, share=1.0),
    ):
        assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)


def test_lovasz_of_hard_predictions_is_one_minus_the_mean_iou() -> None:
    torch.manual_seed(2)
    labels, predicted = torch.randint(0, 3, (2, 8, 8)), torch.randint(0, 3, (2, 8, 8))
    logits = 1e4 * torch.nn.functional.one_hot(predicted, 3).movedim(-1, 1).double()
    ious = [
        float(((labels == c) & (predicted == c)).sum() / ((labels == c) | (predicted == c)).sum())
        for c in range(3)
    ]
    assert float(lovasz(logits, labels)) == pytest.approx(1 - np.mean(ious), rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_unlabelled_pixels_have_no_say(name: str, dtype: torch.dtype) -> None:
    logits, labels, _ = batch(3)
    other = torch.where((labels == 255)[:, None], torch.full_like(logits, 50.0), logits)
    values = []
    for given in (logits, other):
        leaf = given.detach().to(dtype).requires_grad_()
        loss = LOSSES[name](leaf, labels)
        loss.backward()
        assert leaf.grad is not None
        assert not leaf.grad.movedim(1, -1)[labels == 255].any()
        assert loss.dtype in (torch.float32, torch.float64)
        values.append(float(loss.detach()))
    assert values[0] == values[1]


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_without_labels_costs_nothing_and_gives_no_nan(name: str) -> None:
    logits = torch.randn(1, 4, 3, 3, requires_grad=True)
    loss = LOSSES[name](logits, torch.full((1, 3, 3), 255))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert logits.grad is not None
    assert not logits.grad.any()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("size", [1e4, 1e-4])
def test_extreme_logits_give_finite_gradients(name: str, size: float) -> None:
    torch.manual_seed(0)
    logits, labels = (
        (size * torch.randn(1, 4, 6, 6)).requires_grad_(),
        torch.randint(0, 4, (1, 6, 6)),
    )
    LOSSES[name](logits, labels).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_a_recipe_weighs_its_losses() -> None:
    logits, labels, _ = batch(6)
    weights = WEIGHTS.float()
    plain = choose_criterion(Recipe())(logits, labels, weights)
    assert torch.equal(plain, cross_entropy(logits, labels, weights))
    both = choose_criterion(Recipe(loss={"focal": 0.5, "lovasz": 2.0}, focal_gamma=1.0))  # type: ignore[arg-type]
    expected = 0.5 * focal(logits, labels, weights, gamma=1.0) + 2.0 * lovasz(logits, labels)
    assert float(both(logits, labels, weights).detach()) == pytest.approx(float(expected.detach()))
    hard = choose_criterion(Recipe(loss={"ohem": 1.0}, ohem_threshold=0.2, ohem_share=0.5))  # type: ignore[arg-type]
    assert torch.equal(
        hard(logits, labels, weights),
        hard_pixels(logits, labels, weights, threshold=0.2, share=0.5),
    )
