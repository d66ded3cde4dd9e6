from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geoseg.models import Outputs
from geoseg.training.losses import cross_entropy, median_frequency_weights, segmentation_loss

WEIGHTS = torch.tensor([1.0, 0.5, 3.0])


def test_median_frequency_weights_are_the_papers() -> None:
    # f = .5 .3 .2, median .3
    np.testing.assert_allclose(median_frequency_weights(np.array([50, 30, 20])), [0.6, 1.0, 1.5])


@given(arrays(np.int64, st.integers(1, 8), elements=st.integers(0, 10**6)))
def test_weights_keep_to_the_clip_and_absent_classes_have_no_say(counts: np.ndarray) -> None:
    weights = median_frequency_weights(counts, (0.2, 5.0))
    assert weights.dtype == np.float32
    assert (weights >= np.float32(0.2)).all()
    assert (weights <= 5).all()
    np.testing.assert_array_equal(weights[counts == 0], 1.0)
    np.testing.assert_allclose(
        weights[counts > 0], median_frequency_weights(counts[counts > 0], (0.2, 5.0))
    )


def test_cross_entropy_equals_a_plain_loop() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 3, 4, 5), torch.randint(0, 3, (2, 4, 5))
    labels[0, :2] = 255
    total, weight = 0.0, 0.0
    for (n, row, col), label in np.ndenumerate(labels.numpy()):
        if label != 255:
            total -= float(WEIGHTS[label] * torch.log_softmax(logits[n, :, row, col], 0)[label])
            weight += float(WEIGHTS[label])
    assert float(cross_entropy(logits, labels, WEIGHTS)) == pytest.approx(total / weight, rel=1e-5)


def test_a_batch_without_labels_costs_nothing_and_gives_no_nan() -> None:
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    loss = cross_entropy(logits, torch.full((1, 4, 4), 255), WEIGHTS)
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_small_logits_are_resized_to_the_labels() -> None:
    logits = torch.zeros(1, 3, 2, 2)
    logits[:, 1] = 20.0
    assert float(cross_entropy(logits, torch.ones(1, 16, 16, dtype=torch.int64), WEIGHTS)) < 1e-6


def test_auxiliary_losses_enter_with_their_weight() -> None:
    torch.manual_seed(1)
    main, prior, labels = (
        torch.randn(1, 3, 8, 8),
        torch.randn(1, 3, 2, 2),
        torch.randint(0, 3, (1, 8, 8)),
    )
    loss = segmentation_loss(Outputs(main, {"prior": prior}), labels, WEIGHTS, {"prior": 0.8})
    expected = cross_entropy(main, labels, WEIGHTS) + 0.8 * cross_entropy(prior, labels, WEIGHTS)
    assert float(loss) == pytest.approx(float(expected))


def test_boundary_maps_learn_where_classes_meet_without_class_weights() -> None:
    torch.manual_seed(1)
    main, edges, labels = (
        torch.randn(1, 3, 8, 8),
        torch.randn(1, 2, 2, 2),
        torch.zeros(1, 8, 8, dtype=torch.int64),
    )
    labels[:, :, 5:] = 2
    loss = segmentation_loss(Outputs(main, {"boundary": edges}), labels, WEIGHTS, {"boundary": 0.2})
    met = torch.zeros_like(labels)
    met[:, :, 3:7] = 1
    expected = cross_entropy(main, labels, WEIGHTS) + 0.2 * cross_entropy(edges, met, torch.ones(2))
    assert float(loss) == pytest.approx(float(expected))
