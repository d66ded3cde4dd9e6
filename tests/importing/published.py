"""Heads as their papers and public code have them, small, with the names of published weights.

Each takes the encoder's maps, shallow to deep, and gives logits at their size. Written from the
structures that the papers print, with plain matrices of all pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ConvModule(nn.Module):
    """Convolution, norm and ReLU by mmcv's names."""

    def __init__(self, cin: int, cout: int, kernel: int = 1, dilation: int = 1) -> None:
        super().__init__()
        padding = dilation * (kernel // 2)
        self.conv = nn.Conv2d(cin, cout, kernel, padding=padding, dilation=dilation, bias=False)
        self.bn = nn.BatchNorm2d(cout)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x)).relu()


class Scale(nn.Module):
    """A factor without an axis."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.7))


def module(**children: nn.Module) -> Any:
    """A module that only holds others."""
    return nn.ModuleDict(children)


def over_keys(query: Tensor, key: Tensor, value: Tensor, scale: float = 1.0) -> Tensor:
    """Attention with the matrix of all pairs."""
    pairs = torch.einsum("ncp,ncq->npq", query.flatten(2), key.flatten(2)) * scale
    summed = torch.einsum("npq,ncq->ncp", pairs.softmax(2), value.flatten(2))
    return summed.reshape(len(query), -1, *query.shape[2:])


class FCN(nn.Module):
    """mmsegmentation's."""

    def __init__(self, deep: int, width: int, classes: int, convs: int, *, concat: bool) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            *(ConvModule(deep if i == 0 else width, width, 3) for i in range(convs))
        )
        if concat:
            self.conv_cat = ConvModule(deep + width, width, 3)
        self.conv_seg = nn.Conv2d(width, classes, 1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        x = self.convs(maps[-1])
        if hasattr(self, "conv_cat"):
            x = self.conv_cat(torch.cat([maps[-1], x], 1))
        return self.conv_seg(x)


class PSP(nn.Module):
    """mmsegmentation's."""

    def __init__(self, deep: int, width: int, classes: int) -> None:
        super().__init__()
        self.psp_modules = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(s), ConvModule(deep, deep // 4))
            for s in (1, 2, 3, 6)
        )
        self.bottleneck = ConvModule(2 * deep, width, 3)
        self.conv_seg = nn.Conv2d(width, classes, 1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        x = maps[-1]
        pooled = [F.interpolate(m(x), x.shape[2:], mode="bilinear") for m in self.psp_modules]
        return self.conv_seg(self.bottleneck(torch.cat([x, *pooled], 1)))


class ASPP(nn.Module):
    """mmsegmentation's: the image's mean comes first."""

    def __init__(self, deep: int, width: int, classes: int, rates: Sequence[int]) -> None:
        super().__init__()
        self.image_pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), ConvModule(deep, width))
        self.aspp_modules = nn.ModuleList(
            [ConvModule(deep, width), *(ConvModule(deep, width, 3, rate) for rate in rates)]
        )
        self.bottleneck = ConvModule((2 + len(rates)) * width, width, 3)
        self.conv_seg = nn.Conv2d(width, classes, 1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        x = maps[-1]
        mean = self.image_pool(x).expand(-1, -1, *x.shape[2:])
        return self.conv_seg(
            self.bottleneck(torch.cat([mean, *(m(x) for m in self.aspp_modules)], 1))
        )


class DA(nn.Module):
    """mmsegmentation's DANet, with the classifiers of its branches."""

    def __init__(self, deep: int, width: int, classes: int) -> None:
        super().__init__()
        keys = width // 8
        for branch in ("pam", "cam"):
            setattr(self, f"{branch}_in_conv", ConvModule(deep, width, 3))
            setattr(self, f"{branch}_out_conv", ConvModule(width, width, 3))
            setattr(self, f"{branch}_conv_seg", nn.Conv2d(width, classes, 1))
        self.pam = module(
            key_project=nn.Conv2d(width, keys, 1),
            query_project=nn.Conv2d(width, keys, 1),
            value_project=nn.Conv2d(width, width, 1),
            gamma=Scale(),
        )
        self.cam = module(gamma=Scale())
        self.conv_seg = nn.Conv2d(width, classes, 1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        x, y = self.pam_in_conv(maps[-1]), self.cam_in_conv(maps[-1])
        query, key, value = (self.pam[f"{n}_project"](x) for n in ("query", "key", "value"))
        x = x + self.pam["gamma"].scale * over_keys(query, key, value)
        a = y.flatten(2)
        energy = torch.einsum("nip,njp->nij", a, a)
        energy = energy.amax(2, keepdim=True) - energy
        attended = torch.einsum("nij,njp->nip", energy.softmax(2), a).reshape(y.shape)
        y = y + self.cam["gamma"].scale * attended
        return self.conv_seg(self.pam_out_conv(x) + self.cam_out_conv(y))


class CC(nn.Module):
    """mmsegmentation's CCNet: attention along row and column, twice."""

    def __init__(self, deep: int, width: int, classes: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(ConvModule(deep, width, 3), ConvModule(width, width, 3))
        self.cca = module(
            query_conv=nn.Conv2d(width, width // 8, 1),
            key_conv=nn.Conv2d(width, width // 8, 1),
            value_conv=nn.Conv2d(width, width, 1),
            gamma=Scale(),
        )
        self.conv_cat = ConvModule(deep + width, width, 3)
        self.conv_seg = nn.Conv2d(width, classes, 1)

    def _attend(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        places = [(r, c) for r in range(height) for c in range(width)]
        cross = torch.tensor([[r == i or c == j for i, j in places] for r, c in places])
        query, key, value = (self.cca[f"{n}_conv"](x).flatten(2) for n in ("query", "key", "value"))
        pairs = torch.einsum("ncp,ncq->npq", query, key).masked_fill(~cross, -torch.inf)
        summed = torch.einsum("npq,ncq->ncp", pairs.softmax(2), value).reshape(x.shape)
        return x + self.cca["gamma"].scale * summed

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        x = self._attend(self._attend(self.convs[0](maps[-1])))
        return self.conv_seg(self.conv_cat(torch.cat([maps[-1], self.convs[1](x)], 1)))


class APC(nn.Module):
    """mmsegmentation's."""

    def __init__(self, deep: int, width: int, classes: int, scales: Sequence[int]) -> None:
        super().__init__()
        names = ("input_redu_conv", "pooled_redu_conv", "global_info", "residual_conv")
        self.acm_modules = nn.ModuleList(
            module(
                **{
                    name: ConvModule(deep if "redu" in name else width, width)
                    for name in (*names, "fusion_conv")
                },
                gla=nn.Conv2d(width, s * s, 1),
            )
            for s in scales
        )
        self.scales = scales
        self.bottleneck = ConvModule(deep + len(scales) * width, width, 3)
        self.conv_seg = nn.Conv2d(width, classes, 1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        x, contexts = maps[-1], []
        for scale, acm in zip(self.scales, self.acm_modules, strict=True):
            pooled = acm["pooled_redu_conv"](F.adaptive_avg_pool2d(x, scale)).flatten(2)
            reduced = acm["input_redu_conv"](x)
            mean = acm["global_info"](reduced.mean((2, 3), keepdim=True))
            share = acm["gla"](reduced + mean).sigmoid().flatten(2)
            z = torch.einsum("ncb,nbp->ncp", pooled, share).reshape(reduced.shape)
            z = (acm["residual_conv"](z) + reduced).relu()
            contexts.append(acm["fusion_conv"](z))
        return self.conv_seg(self.bottleneck(torch.cat([x, *contexts], 1)))


class OCR(nn.ModuleList):
    """mmsegmentation's cascade: an FCN of stage 3, and the object context of stage 4."""

    def __init__(self, middle: int, deep: int, width: int, keys: int, classes: int) -> None:
        coarse = FCN(middle, width // 2, classes, 1, concat=False)
        two = {
            name: nn.Sequential(ConvModule(width, keys), ConvModule(keys, keys))
            for name in ("key_project", "query_project")
        }
        block = module(
            **two,
            value_project=ConvModule(width, keys),
            out_project=ConvModule(keys, width),
            bottleneck=ConvModule(2 * width, width),
        )
        last = module(
            object_context_block=block,
            bottleneck=ConvModule(deep, width, 3),
            conv_seg=nn.Conv2d(width, classes, 1),
        )
        super().__init__([coarse, last])

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        coarse, head = self[0](maps[-2:-1]), self[1]
        block = head["object_context_block"]
        x = head["bottleneck"](maps[-1])
        shares = coarse.flatten(2).softmax(2)
        regions = torch.einsum("nkp,ncp->nck", shares, x.flatten(2)).unsqueeze(3)
        query, key = block["query_project"](x), block["key_project"](regions)
        context = over_keys(query, key, block["value_project"](regions), key.shape[1] ** -0.5)
        mixed = block["bottleneck"](torch.cat([block["out_project"](context), x], 1))
        return head["conv_seg"](mixed)
