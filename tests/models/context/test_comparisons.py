"""The comparison schemes whose form is the printed one, against their equations term by term."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from geoseg.models.context import (
    ACFHead,
    ANNHead,
    ASPPHead,
    DNLHead,
    DoubleAttentionHead,
    SelfAttentionHead,
)

SIZE = (5, 7)


def make_map(channels: int, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return torch.randn(2, channels, *SIZE, dtype=torch.float64)


def check(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-10)


def test_self_attention_is_a_softmax_over_all_positions() -> None:
    head = SelfAttentionHead((6,), 3, channels=12, key_channels=8).double().eval()
    x = head.reduce(make_map(6))
    q, k, v = (part(x).flatten(2) for part in (head.query, head.key, head.value))
    weights = (torch.einsum("ndi,ndj->nij", q, k) / 8**0.5).softmax(2)
    context = head.out(torch.einsum("nij,ndj->ndi", weights, v).unflatten(2, SIZE))
    check(head([make_map(6)]).logits, head.classify(head.fuse(torch.cat([context, x], 1))))


def test_double_attention_gathers_and_distributes() -> None:
    head = DoubleAttentionHead((6,), 3, channels=12, key_channels=8, descriptors=4).double().eval()
    x = head.reduce(make_map(6))
    a, b, v = (part(x).flatten(2) for part in (head.features, head.gather, head.distribute))
    gathered = torch.einsum("nmi,nki->nmk", a, b.softmax(2))
    z = torch.einsum("nmk,nki->nmi", gathered, v.softmax(1)).unflatten(2, SIZE)
    check(head([make_map(6)]).logits, head.classify(head.fuse(torch.cat([head.out(z), x], 1))))


def test_dnl_adds_a_whitened_pairwise_and_a_unary_term() -> None:
    head = DNLHead((6,), 3, channels=12, key_channels=8).double().eval()
    part, x = head.attention, head.reduce(make_map(6))
    q, k, v, m = (conv(x).flatten(2) for conv in (part.query, part.key, part.value, part.mask))
    q, k = q - q.mean(2, keepdim=True), k - k.mean(2, keepdim=True)
    weights = torch.einsum("ndi,ndj->nij", q, k).softmax(2) + m.softmax(2)
    y = x + part.out(torch.einsum("nij,ndj->ndi", weights, v).unflatten(2, SIZE))
    check(
        head([make_map(6)]).logits,
        head.classify(head.fuse(torch.cat([make_map(6), head.smooth(y)], 1))),
    )


def test_ann_attends_to_a_pooled_pyramid() -> None:
    head = ANNHead((4, 6), 3, channels=12, key_channels=8).double().eval()
    middle, deep = make_map(4), make_map(6, seed=1)

    def attend(block: torch.nn.Module, x: Tensor, source: Tensor) -> Tensor:
        def pyramid(y: Tensor) -> Tensor:
            return torch.cat(
                [F.adaptive_avg_pool2d(y, size).flatten(2) for size in (1, 3, 6, 8)], 2
            )

        q, k, v = (
            block.query(x).flatten(2),
            pyramid(block.key(source)),
            pyramid(block.value(source)),
        )
        weights = (torch.einsum("ndi,ndj->nij", q, k) / 8**0.5).softmax(2)
        return block.out(torch.einsum("nij,ndj->ndi", weights, v).unflatten(2, SIZE))

    x = head.reduce(head.mix(torch.cat([attend(head.fusion, deep, middle), deep], 1)))
    expected = head.classify(head.fuse(torch.cat([attend(head.pyramid, x, x), x], 1)))
    check(head([middle, deep]).logits, expected)


def test_acf_gives_each_pixel_the_centers_of_its_classes() -> None:
    head = ACFHead((4, 6), 3, channels=12).double().eval()
    middle, deep = make_map(4), make_map(6, seed=1)
    x, p = head.reduce(deep), head.coarse(middle).softmax(1)
    centers = torch.einsum("nkhw,nchw->nkc", p, x) / p.sum((2, 3))[:, :, None]
    y = head.refine(torch.einsum("nkhw,nkc->nchw", p, centers))
    outputs = head([middle, deep])
    check(outputs.logits, head.classify(head.fuse(torch.cat([x, y], 1))))
    check(outputs.aux["coarse"], head.coarse(middle))


def test_aspp_is_five_branches_of_which_one_is_the_mean() -> None:
    head = ASPPHead((6,), 3, channels=4).double().eval()
    x = make_map(6)
    pyramid = head.pyramid(x)
    assert [branch[0].dilation[0] for branch in head.pyramid.branches] == [1, 12, 24, 36]
    for index, branch in enumerate(head.pyramid.branches):
        check(pyramid[:, 4 * index : 4 * index + 4], branch(x))
    check(pyramid[:, 16:], head.pyramid.image(F.adaptive_avg_pool2d(x, 1)).expand(-1, -1, *SIZE))
