"""Each loss against its definition written out pixel by pixel in float64; weights of classes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from geoseg.errors import ConfigError
from geoseg.models import Outputs
from geoseg.training.losses import (
    boundary_labels,
    choose_class_weights,
    cross_entropy,
    dice,
    focal,
    lovasz,
    make_loss,
    median_frequency_weights,
    ohem_cross_entropy,
    segmentation_loss,
)
from geoseg.training.recipe import Recipe

WEIGHTS = torch.tensor([1.0, 0.5, 3.0, 0.2], dtype=torch.float64)
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": lambda logits, labels: cross_entropy(logits, labels, WEIGHTS.float()),
    "dice": dice,
    "focal": lambda logits, labels: focal(logits, labels, WEIGHTS.to(logits)),
    "lovasz": lovasz,
    "ohem": lambda logits, labels: ohem_cross_entropy(logits, labels, WEIGHTS.to(logits)),
}

Pixels = list[tuple[np.ndarray, int]]


def batch(seed: int, classes_shown: int = 3) -> tuple[Tensor, Tensor, Pixels]:
    """Logits of 4 classes, labels that show only some and are partly 255, and both by pixel."""
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
    """Sum of sorted errors times the growth of the Jaccard loss as their pixels become wrong."""

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


def plain_ohem(pixels: Pixels, threshold: float, share: float) -> float:
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
            ohem_cross_entropy(logits, labels, WEIGHTS, threshold=threshold, share=share).detach()
        )
        assert found == pytest.approx(plain_ohem(pixels, threshold, share), rel=1e-12)


def test_gradients_are_those_of_finite_differences() -> None:
    _, labels, _ = batch(0)
    for loss in (dice, lovasz, LOSSES["focal"], LOSSES["ohem"]):
        logits, _, _ = batch(1)
        assert torch.autograd.gradcheck(
            lambda given, loss=loss: loss(given, labels), logits, eps=1e-7, atol=1e-5
        )


def test_focal_without_gamma_and_ohem_cross_entropy_of_all_are_the_cross_entropy() -> None:
    logits, labels, _ = batch(5)
    expected = float(cross_entropy(logits, labels, WEIGHTS.float()).detach())
    for loss in (
        focal(logits, labels, WEIGHTS, gamma=0.0),
        ohem_cross_entropy(logits, labels, WEIGHTS, share=1.0),
    ):
        assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)


def test_the_gradient_of_a_certain_pixel_is_finite_for_a_small_gamma() -> None:
    logits = torch.tensor([0.0, 100.0]).reshape(1, 2, 1, 1).requires_grad_()
    focal(logits, torch.ones(1, 1, 1, dtype=torch.int64), torch.ones(2), gamma=0.5).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_smps_focal_loss_without_gamma_is_not_the_cross_entropy() -> None:
    """Why the focal loss is our own; where this fails, smp's may do."""
    logits, labels, _ = batch(5)
    theirs = smp.losses.FocalLoss("multiclass", gamma=0.0, ignore_index=255)(logits, labels)
    ours = cross_entropy(logits, labels, torch.ones(4))
    assert abs(float(theirs.detach()) / float(ours.detach()) - 1) > 0.1


def test_the_gradients_of_lovasz_are_exact_on_a_megapixel_where_smps_are_not() -> None:
    """Why the Lovász loss is our own; where the second part fails, smp's may do."""
    torch.manual_seed(0)
    logits, labels = torch.randn(1, 2, 1024, 1024), torch.randint(0, 2, (1, 1024, 1024))
    theirs = smp.losses.LovaszLoss("multiclass", ignore_index=255)
    assert theirs(logits[..., :1, :1], torch.full((1, 1, 1), 255)).ndim > 0  # no scalar

    def gradient(loss: Callable[[Tensor, Tensor], Tensor], dtype: torch.dtype) -> Tensor:
        leaf = logits.to(dtype).requires_grad_()
        return torch.autograd.grad(loss(leaf, labels), leaf)[0].double()

    exact = gradient(lovasz, torch.float64)
    assert (gradient(lovasz, torch.float32) - exact).norm() / exact.norm() < 1e-5
    assert (gradient(theirs, torch.float32) - exact).norm() / exact.norm() > 1e-3


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
def test_unlabelled_pixels_change_neither_loss_nor_gradient(name: str, dtype: torch.dtype) -> None:
    logits, labels, _ = batch(3)
    other = torch.where((labels == 255)[:, None], torch.full_like(logits, 50.0), logits)
    values = []
    for chosen in (logits, other):
        leaf = chosen.detach().to(dtype).requires_grad_()
        loss = LOSSES[name](leaf, labels)
        loss.backward()
        assert leaf.grad is not None
        assert not leaf.grad.movedim(1, -1)[labels == 255].any()
        assert loss.dtype in (torch.float32, torch.float64)
        values.append(float(loss.detach()))
    assert values[0] == values[1]


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_without_labels_has_loss_and_gradients_of_zero(name: str) -> None:
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


def test_a_recipe_weights_its_losses() -> None:
    logits, labels, _ = batch(6)
    weights = WEIGHTS.float()
    plain = make_loss(Recipe())(logits, labels, weights)
    assert torch.equal(plain, cross_entropy(logits, labels, weights))
    recipe = Recipe(loss={"focal": 0.5, "lovasz": 2.0}, focal_gamma=1.0)  # type: ignore[arg-type]
    both = make_loss(recipe)
    expected = 0.5 * focal(logits, labels, weights, gamma=1.0) + 2.0 * lovasz(logits, labels)
    assert float(both(logits, labels, weights).detach()) == pytest.approx(float(expected.detach()))
    hard = make_loss(Recipe(loss="ohem", ohem_threshold=0.2, ohem_share=0.5))  # type: ignore[arg-type]
    assert torch.equal(
        hard(logits, labels, weights),
        ohem_cross_entropy(logits, labels, weights, threshold=0.2, share=0.5),
    )


THREE_WEIGHTS = torch.tensor([1.0, 0.5, 3.0])


def test_cross_entropy_equals_a_plain_loop() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 3, 4, 5), torch.randint(0, 3, (2, 4, 5))
    labels[0, :2] = 255
    total, weight = 0.0, 0.0
    for (n, row, col), label in np.ndenumerate(labels.numpy()):
        if label != 255:
            total -= float(
                THREE_WEIGHTS[label] * torch.log_softmax(logits[n, :, row, col], 0)[label]
            )
            weight += float(THREE_WEIGHTS[label])
    assert float(cross_entropy(logits, labels, THREE_WEIGHTS)) == pytest.approx(
        total / weight, rel=1e-5
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_small_logits_are_resized_bilinearly_to_the_labels(dtype: torch.dtype) -> None:
    torch.manual_seed(2)
    logits = torch.randn(1, 3, 2, 1).to(dtype)
    labels = torch.tensor([[[0], [1], [2], [1]]])
    # The four rows lie at -1/4, 1/4, 3/4 and 5/4 of the way from the first centre to the second.
    share = torch.tensor([0.0, 0.25, 0.75, 1.0])[:, None]
    upper, lower = logits.float()[0, :, 0, 0], logits.float()[0, :, 1, 0]
    rows = (1 - share) * upper + share * lower
    losses = -rows.log_softmax(1)[torch.arange(4), labels.flatten()]
    expected = np.average(losses, weights=THREE_WEIGHTS[labels.flatten()])
    assert float(cross_entropy(logits, labels, THREE_WEIGHTS)) == pytest.approx(expected, rel=1e-5)


def test_other_losses_than_the_cross_entropy_may_be_the_main_one() -> None:
    main, labels = torch.randn(1, 3, 4, 4), torch.randint(0, 3, (1, 4, 4))
    loss = segmentation_loss(
        Outputs(main, {}), labels, THREE_WEIGHTS, {}, lambda *batch: dice(*batch[:2])
    )
    assert torch.equal(loss, dice(main, labels))


def test_auxiliary_losses_enter_with_their_weight() -> None:
    torch.manual_seed(1)
    main, prior, labels = (
        torch.randn(1, 3, 8, 8),
        torch.randn(1, 3, 2, 2),
        torch.randint(0, 3, (1, 8, 8)),
    )
    loss = segmentation_loss(Outputs(main, {"prior": prior}), labels, THREE_WEIGHTS, {"prior": 0.8})
    expected = cross_entropy(main, labels, THREE_WEIGHTS) + 0.8 * cross_entropy(
        prior, labels, THREE_WEIGHTS
    )
    assert float(loss) == pytest.approx(float(expected))


def test_boundary_maps_learn_where_classes_meet_without_class_weights() -> None:
    torch.manual_seed(1)
    main, edges, labels = (
        torch.randn(1, 3, 8, 8),
        torch.randn(1, 2, 2, 2),
        torch.zeros(1, 8, 8, dtype=torch.int64),
    )
    labels[:, :, 5:] = 2
    loss = segmentation_loss(
        Outputs(main, {"boundary": edges}), labels, THREE_WEIGHTS, {"boundary": 0.2}
    )
    met = torch.zeros_like(labels)
    met[:, :, 3:7] = 1
    expected = cross_entropy(main, labels, THREE_WEIGHTS) + 0.2 * cross_entropy(
        edges, met, torch.ones(2)
    )
    assert float(loss) == pytest.approx(float(expected))


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_boundary_is_where_another_class_is_within_two_pixels(
    height: int, width: int, classes: int, seed: int
) -> None:
    torch.manual_seed(seed)
    labels = torch.randint(classes, (2, height, width))
    labels[torch.rand(labels.shape) < 0.3] = 255
    found = boundary_labels(labels)
    for image in range(2):
        known = [(r, c) for r in range(height) for c in range(width) if labels[image, r, c] != 255]
        for row in range(height):
            for col in range(width):
                near = {
                    int(labels[image, r, c])
                    for r, c in known
                    if (r - row) ** 2 + (c - col) ** 2 <= 4
                }
                own = int(labels[image, row, col])
                assert found[image, row, col] == (255 if own == 255 else bool(near - {own}))


def test_a_window_cut_from_an_object_has_no_boundary() -> None:
    labels = torch.zeros(1, 8, 8, dtype=torch.int64)
    labels[0, 3] = 255
    assert set(boundary_labels(labels).unique().tolist()) == {0, 255}


def test_median_frequency_weights_are_the_papers() -> None:
    # f = .5 .3 .2, median .3
    np.testing.assert_allclose(median_frequency_weights(np.array([50, 30, 20])), [0.6, 1.0, 1.5])


def test_weights_are_clipped_to_a_tenth_and_ten_by_default() -> None:
    weights = median_frequency_weights(np.array([10**6, 10**3, 1]))
    np.testing.assert_allclose(weights, [0.1, 1.0, 10.0])


def test_without_any_label_all_weights_are_one() -> None:
    np.testing.assert_array_equal(median_frequency_weights(np.zeros(3, np.int64)), [1, 1, 1])


@given(arrays(np.int64, st.integers(1, 8), elements=st.integers(0, 10**6)))
def test_weights_keep_to_the_clip_and_absent_classes_do_not_count(counts: np.ndarray) -> None:
    weights = median_frequency_weights(counts, (0.2, 5.0))
    assert weights.dtype == np.float32
    assert (weights >= np.float32(0.2)).all()
    assert (weights <= 5).all()
    np.testing.assert_array_equal(weights[counts == 0], 1.0)
    np.testing.assert_allclose(
        weights[counts > 0], median_frequency_weights(counts[counts > 0], (0.2, 5.0))
    )


def test_a_recipe_chooses_its_weights() -> None:
    counts = np.array([60, 20])
    recipe = Recipe(class_weights="median", class_weight_range=(0.9, 1.5))
    np.testing.assert_allclose(choose_class_weights(recipe, counts), [0.9, 1.5])
    np.testing.assert_array_equal(
        choose_class_weights(Recipe(class_weights="none"), counts), [1, 1]
    )
    chosen = choose_class_weights(Recipe(class_weights=(2.0, 0.25)), counts)
    np.testing.assert_array_equal(chosen, np.array([2, 0.25], np.float32))
    assert chosen.dtype == np.float32
    with pytest.raises(
        ConfigError, match=r"train\.class_weights: 3 numbers for 2 classes; give one each"
    ):
        choose_class_weights(Recipe(class_weights=(1.0, 1.0, 1.0)), counts)
