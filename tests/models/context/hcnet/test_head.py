from __future__ import annotations

import copy
from dataclasses import asdict
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from geoseg.models.context.hcnet.head import (
    HCNetHead,
    Norm,
    PositionIndependentAttention,
    PreSegmentation,
    RegionContext,
    unpool,
)
from tests.models.plain.agreement import check_same

NORMS: tuple[Norm, ...] = ("relu", "softplus", "raw", "softmax")


def make_attention(norm: Norm, banks: int = 1) -> PositionIndependentAttention:
    module = PositionIndependentAttention(8, norm, banks).double()
    nn.init.uniform_(module.alpha, 0.5, 0.9)
    return module


def attend_set(module: PositionIndependentAttention, b: Tensor, bank: int = 0) -> Tensor:
    """B' of one set B ``(C, K)``, equations (3) and (4) and the residual word for word."""
    rows = slice(2 * bank, 2 * bank + 2)
    o = module.query.weight[rows, :, 0, 0] @ b + module.query.bias[rows, None]
    p = module.key.weight[rows, :, 0, 0] @ b + module.key.bias[rows, None]
    if module.norm in ("relu", "softplus"):
        activate = getattr(torch.nn.functional, module.norm)
        o, p = activate(o), activate(p)
    a = o.T @ p
    if module.norm == "softmax":
        a = a.softmax(1)
    elif module.norm == "raw":
        row = a.sum(1, keepdim=True)
        a = a / torch.where(row.abs() < 1e-6, 1e-6 * torch.where(row < 0, -1.0, 1.0), row)
    else:
        a = a / (a.sum(1, keepdim=True) + 1e-6)
    return module.alpha[bank] * (b @ a.T) + b


@pytest.mark.parametrize("norm", NORMS)
@settings(max_examples=15, deadline=None)
@given(
    height=st.integers(1, 24),
    width=st.integers(1, 24),
    classes=st.integers(1, 6),
    shared=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_pixel_context_equals_the_quadratic_definition_class_by_class(
    norm: Norm, height: int, width: int, classes: int, shared: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    module = make_attention(norm, 1 if shared else classes)
    x = torch.randn(2, 8, height, width, dtype=torch.float64, requires_grad=True)
    labels = (torch.rand(2, height, width) ** 3 * classes).long()
    expected = torch.empty_like(x)
    for image in range(2):
        for label in range(classes):
            inside = labels[image] == label
            if inside.any():
                expected[image, :, inside] = attend_set(
                    module, x[image, :, inside], 0 if shared else label
                )
    found = module(x, labels, classes)
    if norm == "raw":  # rows whose weights nearly cancel amplify rounding without bound
        assert torch.allclose(
            found, expected, rtol=1e-6, atol=1e-6 * float(expected.detach().abs().max())
        )
        return
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    leaves = [x, *module.parameters()]
    slope = torch.randn_like(found)
    for one, other in zip(
        torch.autograd.grad((found * slope).sum(), leaves),
        torch.autograd.grad((expected * slope).sum(), leaves),
        strict=True,
    ):
        scale = 1 + float(other.abs().max())
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9 * scale)


@settings(max_examples=10, deadline=None)
@given(height=st.integers(1, 24), width=st.integers(1, 24), seed=st.integers(0, 2**32 - 1))
def test_printed_normalisation_has_the_quadratic_gradients_where_no_row_cancels(
    height: int, width: int, seed: int
) -> None:
    torch.manual_seed(seed)
    module = make_attention("raw")
    for part in (module.query, module.key):
        nn.init.constant_(part.bias, 5.0)
    x = torch.randn(1, 8, height, width, dtype=torch.float64, requires_grad=True)
    found = module(x, torch.zeros(1, height, width, dtype=torch.int64), 2)
    check_same(
        found,
        attend_set(module, x[0].flatten(1)).reshape(found.shape),
        [x, *module.parameters()],
        1e-6,
    )


@pytest.mark.parametrize("norm", ["relu", "softplus", "softmax"])
def test_context_is_a_mean_of_the_set(norm: Norm) -> None:
    module = make_attention(norm)
    nn.init.ones_(module.query.bias)
    nn.init.ones_(module.key.bias)
    x = torch.ones(1, 8, 5, 5, dtype=torch.float64)
    out = module(x, torch.zeros(1, 5, 5, dtype=torch.int64), 3)
    torch.testing.assert_close(out, (1 + module.alpha) * x, rtol=1e-4, atol=0)


@pytest.mark.parametrize(("norm", "key"), [("relu", 1e-4), ("raw", 1e-4), ("raw", -1e-4)])
def test_small_similarities_still_give_the_mean_of_the_set(norm: Norm, key: float) -> None:
    module = make_attention(norm)
    for part in (module.query, module.key):
        nn.init.zeros_(part.weight)
    nn.init.ones_(module.query.bias)
    nn.init.constant_(module.key.bias, key)  # rows of A sum to 4 * 2 * 1e-4
    nn.init.ones_(module.alpha)
    x = torch.rand(1, 8, 2, 2, dtype=torch.float64)
    out = module(x, torch.zeros(1, 2, 2, dtype=torch.int64), 1)
    torch.testing.assert_close(
        out - x, x.mean((2, 3), keepdim=True).expand_as(x), rtol=2e-3, atol=0
    )


@pytest.mark.parametrize("row", [1e-7, -1e-7])
def test_raw_rows_that_cancel_are_held_off_zero_on_their_side(row: float) -> None:
    module = make_attention("raw")
    for part in (module.query, module.key):
        nn.init.zeros_(part.weight)
    nn.init.ones_(module.query.bias)
    nn.init.constant_(module.key.bias, row / 2)
    nn.init.ones_(module.alpha)
    x = torch.rand(1, 8, 1, 1, dtype=torch.float64)
    out = module(x, torch.zeros(1, 1, 1, dtype=torch.int64), 1)
    torch.testing.assert_close(out, 1.1 * x, rtol=1e-9, atol=0)  # 1e-7 / 1e-6 of the mean


def pool_regions(x: Tensor, q: Tensor) -> Tensor:
    """R ``(C, K)`` of X' ``(C, h, w)`` and Q ``(K, h, w)``, equation (1) word for word."""
    pooled = [
        [(x[c] * q[j]).sum() / q[j].sum() for j in range(q.shape[0])] for c in range(x.shape[0])
    ]
    return torch.stack([torch.stack(row) for row in pooled])


@pytest.mark.parametrize("far", [0.0, 14.0, 40.0, 300.0])
@pytest.mark.parametrize("norm", ["relu", "softplus", "softmax"])
def test_a_class_that_no_pixel_comes_near_takes_part_as_the_equations_have_it(
    norm: Norm, far: float
) -> None:
    torch.manual_seed(3)
    module = RegionContext(8, norm)
    nn.init.constant_(module.attention.alpha, 0.7)
    x = torch.rand(2, 8, 6, 5, requires_grad=True)
    prior = torch.randn(2, 4, 6, 5)
    prior[:, 2] -= far  # its Q, e^-300 or so, is 0 in float32
    prior.requires_grad_()
    found = module(x, prior)
    plain = copy.deepcopy(module.attention).double()
    q = prior.double().softmax(1)
    expected = torch.stack(
        [attend_set(plain, pool_regions(*one)) for one in zip(x.double(), q, strict=True)]
    )
    torch.testing.assert_close(found[..., 0].double(), expected, rtol=1e-4, atol=1e-5)
    slope = torch.randn_like(expected)
    of_found = torch.autograd.grad((found[..., 0] * slope).sum(), [x, prior])
    of_expected = torch.autograd.grad((expected * slope).sum(), [x, prior])
    for one, other in zip(of_found, of_expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_the_pre_segmentation_reaches_1_3_and_5_pixels_far() -> None:
    module = PreSegmentation(1, 1, 1).eval()
    for parameter in module.parameters():
        nn.init.ones_(parameter)
    x = torch.zeros(1, 1, 15, 15)
    x[0, 0, 7, 7] = 1.0
    with torch.no_grad():
        response = module(x)[0, 0] - module(torch.zeros_like(x))[0, 0]
    reached = {(int(row) - 7, int(col) - 7) for row, col in (response > 0.5).nonzero()}
    expected = {(r * d, c * d) for d in (1, 3, 5) for r in (-1, 0, 1) for c in (-1, 0, 1)}
    assert reached == expected


def test_dead_rows_keep_their_features() -> None:
    module = make_attention("relu")
    nn.init.constant_(module.query.bias, -1e3)
    x = torch.rand(1, 8, 4, 4, dtype=torch.float64, requires_grad=True)
    out = module(x, torch.zeros(1, 4, 4, dtype=torch.int64), 1)
    assert torch.equal(out, x)
    out.sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_attention_is_the_identity_at_the_start() -> None:
    torch.manual_seed(0)
    module = PositionIndependentAttention(8, "relu")
    x = torch.randn(2, 8, 6, 7)
    assert torch.equal(module(x, torch.randint(0, 3, (2, 6, 7)), 3), x)


def test_region_context_equals_equations_1_and_2() -> None:
    torch.manual_seed(0)
    module = RegionContext(8, "relu").double()
    nn.init.constant_(module.attention.alpha, 0.7)
    x = torch.randn(2, 8, 5, 6, dtype=torch.float64)
    prior = torch.randn(2, 4, 5, 6, dtype=torch.float64)
    q = prior.softmax(1)
    regions = torch.stack(
        [attend_set(module.attention, pool_regions(*one)) for one in zip(x, q, strict=True)]
    )
    found = module(x, prior)
    torch.testing.assert_close(found[..., 0], regions, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(
        unpool(found, q), torch.einsum("nck,nkhw->nchw", regions, q), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("fusion", ["concat", "sum", "region"])
@pytest.mark.parametrize("training", [False, True])
@settings(max_examples=8, deadline=None)
@given(height=st.integers(1, 12), width=st.integers(1, 12), seed=st.integers(0, 2**32 - 1))
def test_head_aggregates_the_maps_of_both_modules(
    fusion: Literal["concat", "sum", "region"], training: bool, height: int, width: int, seed: int
) -> None:
    torch.manual_seed(seed)
    head = HCNetHead((5,), 4, channels=8, prior_channels=4, fusion=fusion).double().train(training)
    for name, parameter in head.named_parameters():
        nn.init.uniform_(parameter, *((0.5, 0.9) if name.endswith("alpha") else (-0.5, 0.5)))
    features = torch.randn(2, 5, height, width, dtype=torch.float64, requires_grad=True)
    outputs = head([features])
    assert head.pixel is not None
    assert head.region is not None
    prior, x = head.prior(features), head.reduce(features)
    q = prior.softmax(1)
    x = head.pixel(x, prior.argmax(1), 4)
    context = torch.einsum("nck,nkhw->nchw", head.region(x, prior)[..., 0], q)
    x = (
        head.fuse(torch.cat([x, context], 1))
        if head.fuse is not None
        else context + (x if fusion == "sum" else 0)
    )
    leaves = [p for p in head.parameters() if p.requires_grad]
    check_same(outputs.logits, head.classify(x), [features, *leaves], floor=1e-3)
    assert torch.equal(outputs.aux["prior"], prior)


def test_only_the_prior_and_the_classifier_are_left_when_both_modules_are_off() -> None:
    head = HCNetHead((8,), 3, channels=4, prior_channels=2, pixel=False, region=False).eval()
    x = torch.randn(1, 8, 5, 5)
    assert torch.equal(head([x]).logits, head.classify(head.reduce(x)))


def test_the_deepest_map_alone_is_used() -> None:
    head = HCNetHead((4, 8), 3, channels=4, prior_channels=2).eval()
    x = torch.randn(1, 8, 5, 5)
    assert torch.equal(head([torch.randn(1, 4, 5, 5), x]).logits, head([x]).logits)


def test_pixel_context_under_bfloat16_autocast_sums_in_float32() -> None:
    torch.manual_seed(0)
    module = PositionIndependentAttention(32, "relu")
    for part in (module.query, module.key):  # O = P = 1: the context is the plain mean
        nn.init.zeros_(part.weight)
        nn.init.ones_(part.bias)
    nn.init.ones_(module.alpha)
    x = torch.rand(1, 32, 64, 64).bfloat16()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        out = module(x, torch.zeros(1, 64, 64, dtype=torch.int64), 2)
    expected = x.double() + x.double().mean((2, 3), keepdim=True)
    torch.testing.assert_close(out.double(), expected, rtol=1e-5, atol=1e-5)


def test_presets_and_outputs_are_those_that_model_files_rely_on() -> None:
    assert asdict(HCNetHead.presets["geoseg"]) == {
        "resizing": "own",
        "channels": 512,
        "prior_channels": 64,
        "norm": "relu",
        "fusion": "concat",
        "shared": True,
        "pixel": True,
        "region": True,
    }
    changed = (
        asdict(HCNetHead.presets["paper"]).items() - asdict(HCNetHead.presets["geoseg"]).items()
    )
    assert dict(changed) == {"norm": "raw", "fusion": "sum"}
    assert (HCNetHead.name, HCNetHead.stages) == ("hcnet", 1)
    assert HCNetHead.aux_weights == {"prior": 0.8}


def test_region_context_under_bfloat16_autocast_is_that_of_float32() -> None:
    torch.manual_seed(0)
    module = RegionContext(8, "relu")
    x, prior = torch.rand(1, 8, 32, 32), torch.randn(1, 3, 32, 32)
    regions, q = module(x, prior), prior.softmax(1)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(module(x, prior), regions)  # the attention's gate is closed
        context = unpool(regions, q)
    assert torch.equal(context, unpool(regions, q))
