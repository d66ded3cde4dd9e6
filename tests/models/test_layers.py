from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.models.layers import (
    BatchNorm,
    Classifier,
    apply_concatenated,
    attend,
    class_means,
    conv_bn_relu,
    pool_pyramid,
    resize,
)


@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (3, 1), (3, 5)])
def test_conv_bn_relu_keeps_height_and_width(kernel: int, dilation: int) -> None:
    block = conv_bn_relu(4, 6, kernel, dilation)
    out = block(torch.randn(2, 4, 7, 5))
    assert out.shape == (2, 6, 7, 5)
    assert out.min() >= 0
    assert block[0].bias is None


@pytest.mark.parametrize("kernel", [1, 3])
def test_parts_give_what_their_concatenation_gives(kernel: int) -> None:
    torch.manual_seed(0)
    block = conv_bn_relu(9, 5, kernel).double()
    parts = [torch.randn(2, count, 6, 7, dtype=torch.float64) for count in (4, 2, 3)]
    torch.testing.assert_close(
        apply_concatenated(block, parts), block(torch.cat(parts, 1)), rtol=1e-12, atol=1e-12
    )


def test_a_vector_among_the_parts_is_as_a_map_that_repeats_it() -> None:
    torch.manual_seed(0)
    block = conv_bn_relu(5, 4).double()
    vector, x = (
        torch.randn(2, 3, 1, 1, dtype=torch.float64),
        torch.randn(2, 2, 6, 7, dtype=torch.float64),
    )
    expected = block(torch.cat([vector.expand(-1, -1, 6, 7), x], 1))
    torch.testing.assert_close(
        apply_concatenated(block, [vector, x]), expected, rtol=1e-12, atol=1e-12
    )


def test_a_single_vector_is_normalised_by_the_running_statistics_and_leaves_them() -> None:
    torch.manual_seed(0)
    norm = BatchNorm(3)
    norm(torch.randn(4, 3, 2, 2) + 1)
    before = norm.running_mean.clone()
    x = torch.randn(1, 3, 1, 1)
    trained = norm(x)
    assert torch.equal(norm.running_mean, before)
    assert torch.equal(trained, norm.eval()(x))


def test_two_values_are_normalised_as_ever() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 3, 1, 2)
    assert torch.equal(BatchNorm(3)(x), torch.nn.BatchNorm2d(3)(x))


def test_classifier_stays_in_float32_under_autocast() -> None:
    classifier = Classifier(8, 3).eval()
    x = torch.randn(1, 8, 4, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert classifier(x).dtype == torch.float32
        assert classifier(x.bfloat16()).dtype == torch.float32
    assert classifier(x).dtype == torch.float32


def test_classifier_follows_float64_weights() -> None:
    assert (
        Classifier(8, 3).double()(torch.randn(1, 8, 4, 4, dtype=torch.float64)).dtype
        == torch.float64
    )


def test_classifier_drops_out_in_training_only() -> None:
    classifier = Classifier(8, 3, dropout=0.5)
    x = torch.randn(1, 8, 4, 4)
    assert not torch.equal(classifier(x), classifier(x))
    classifier.eval()
    assert torch.equal(classifier(x), classifier(x))


def test_attention_equals_its_matrix_written_out_whatever_axes_the_keys_have() -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(2, 4, 3, 5), torch.randn(2, 4, 7), torch.randn(2, 6, 7)
    for scale, factor in ((None, 0.5), (1.0, 1.0)):
        weights = (torch.einsum("ndhw,ndj->nhwj", q, k) * factor).softmax(3)
        expected = torch.einsum("nhwj,ncj->nchw", weights, v)
        torch.testing.assert_close(attend(q, k, v, scale), expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(
            attend(q, k[..., None], v[..., None], scale), expected, rtol=1e-5, atol=1e-5
        )


@settings(deadline=None)
@given(
    classes=st.integers(1, 4),
    height=st.integers(1, 5),
    width=st.integers(1, 5),
    spread=st.sampled_from([1.0, 30.0, 300.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_class_means_are_the_quotient_of_sums_however_small_the_probabilities(
    classes: int, height: int, width: int, spread: float, seed: int
) -> None:
    torch.manual_seed(seed)
    shape = (2, classes, height, width)
    logits = (torch.randn(shape) - spread * torch.rand(1, classes, 1, 1)).requires_grad_()
    x = torch.randn(2, 3, height, width, requires_grad=True)
    found = class_means(logits, x)
    p, wide = logits.double().softmax(1), x.double()  # at least e^-310, which float64 can hold
    expected = torch.empty(2, classes, 3, dtype=torch.float64)
    for image in range(2):
        for k in range(classes):
            share = p[image, k] / p[image, k].sum()
            for c in range(3):
                expected[image, k, c] = (share * wide[image, c]).sum()
    torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-4)
    slope = torch.randn_like(found)
    of_found = torch.autograd.grad((found * slope).sum(), [logits, x])
    of_expected = torch.autograd.grad((expected * slope).sum(), [logits, x])
    for one, other in zip(of_found, of_expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_class_means_are_taken_in_float32_under_autocast() -> None:
    torch.manual_seed(0)
    logits, x = torch.randn(1, 3, 32, 32), torch.rand(1, 8, 32, 32)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        found = class_means(logits, x)
    assert torch.equal(found, class_means(logits, x))


def test_a_map_is_resized_bilinearly_unless_it_has_the_size() -> None:
    x = torch.arange(4.0).reshape(1, 1, 2, 2)
    assert resize(x, (2, 2)) is x
    assert resize(x, (2, 4))[0, 0, 0].tolist() == [0.0, 0.25, 0.75, 1.0]
    assert resize(x, (4, 2))[0, 0, :, 0].tolist() == [0.0, 0.5, 1.5, 2.0]


def pool_to(x: torch.Tensor, size: int) -> torch.Tensor:
    """As `F.adaptive_avg_pool2d`."""
    return pool_pyramid(x, (size,)).reshape(*x.shape[:2], size, size)


@given(st.integers(1, 3), st.integers(1, 40), st.integers(1, 40), st.integers(1, 8), st.booleans())
def test_means_and_gradients_equal_the_library_s_pooling(
    images: int, height: int, width: int, size: int, channels_last: bool
) -> None:
    x = torch.randn(images, 3, height, width, dtype=torch.float64)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    slope = torch.randn(images, 3, size, size, dtype=torch.float64)
    results = []
    for pool in (pool_to, F.adaptive_avg_pool2d):
        leaf = x.clone().requires_grad_()
        means = pool(leaf, size)
        (gradient,) = torch.autograd.grad((means * slope).sum(), leaf)
        results.append((means, gradient))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_a_pyramid_puts_its_sizes_one_after_another() -> None:
    x = torch.randn(2, 3, 13, 9, dtype=torch.float64)
    expected = torch.cat([pool_to(x, size).flatten(2) for size in (1, 2, 6)], 2)
    torch.testing.assert_close(pool_pyramid(x, (1, 2, 6)), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_low_precision_is_summed_in_float32(dtype: torch.dtype) -> None:
    x = torch.rand(1, 2, 64, 64).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        means = pool_to(x, 1)
    assert means.dtype == torch.float32
    torch.testing.assert_close(
        means[..., 0, 0].double(), x.double().mean((2, 3)), rtol=1e-5, atol=0
    )
