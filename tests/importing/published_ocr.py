"""OCRNet's heads in the names of openseg.pytorch and of HRNet's code."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tests.importing.published import module, over_keys


def bn_relu(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())


def pointwise(*channels: int, bias: bool) -> nn.Sequential:
    """1x1 convolutions, each with a norm in a sequence of its own."""
    layers = [
        (nn.Conv2d(cin, cout, 1, bias=bias), bn_relu(cout))
        for cin, cout in itertools.pairwise(channels)
    ]
    return nn.Sequential(*(part for pair in layers for part in pair))


class ObjectContext(nn.Module):
    """Attention to object regions, and the fusion with the pixels."""

    def __init__(self, width: int, keys: int, *, bias: bool) -> None:
        super().__init__()
        self.object_context_block = module(
            f_pixel=pointwise(width, keys, keys, bias=bias),
            f_object=pointwise(width, keys, keys, bias=bias),
            f_down=pointwise(width, keys, bias=bias),
            f_up=pointwise(keys, width, bias=bias),
        )
        fuse = nn.Conv2d(2 * width, width, 1, bias=bias)
        self.conv_bn_dropout = nn.Sequential(fuse, bn_relu(width), nn.Dropout2d(0.05))

    def forward(self, x: Tensor, coarse: Tensor) -> Tensor:
        block = self.object_context_block
        shares = coarse.flatten(2).softmax(2)
        regions = torch.einsum("nkp,ncp->nck", shares, x.flatten(2)).unsqueeze(3)
        query, key = block["f_pixel"](x), block["f_object"](regions)
        context = over_keys(query, key, block["f_down"](regions), key.shape[1] ** -0.5)
        return self.conv_bn_dropout(torch.cat([block["f_up"](context), x], 1))


class OpensegOCR(nn.Module):
    """Convolutions before norms have biases."""

    def __init__(self, middle: int, deep: int, width: int, keys: int, classes: int) -> None:
        super().__init__()
        self.conv_3x3 = nn.Sequential(nn.Conv2d(deep, width, 3, padding=1), bn_relu(width))
        self.spatial_ocr_head = ObjectContext(width, keys, bias=True)
        self.head = nn.Conv2d(width, classes, 1)
        self.dsn_head = nn.Sequential(
            nn.Conv2d(middle, width, 3, padding=1),
            bn_relu(width),
            nn.Dropout2d(0.05),
            nn.Conv2d(width, classes, 1),
        )

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        coarse = self.dsn_head(maps[-2])
        return self.head(self.spatial_ocr_head(self.conv_3x3(maps[-1]), coarse))


class HRNetOCR(nn.Module):
    """The convolutions of its first layers alone have biases."""

    def __init__(self, channels: int, width: int, keys: int, classes: int) -> None:
        super().__init__()
        self.conv3x3_ocr = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.ocr_distri_head = ObjectContext(width, keys, bias=False)
        self.cls_head = nn.Conv2d(width, classes, 1)
        self.aux_head = nn.Sequential(
            nn.Conv2d(channels, channels, 1),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, classes, 1),
        )

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        x = maps[-1]
        return self.cls_head(self.ocr_distri_head(self.conv3x3_ocr(x), self.aux_head(x)))
