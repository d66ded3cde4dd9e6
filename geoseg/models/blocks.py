"""The few layers and moves that all heads share."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def conv_bn_relu(in_channels: int, out_channels: int, kernel: int = 1, dilation: int = 1) -> nn.Sequential:
    """A convolution without bias, batch normalisation and ReLU; height and width stay (odd `kernel`)."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, padding=padding, dilation=dilation, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def wide(x: Tensor) -> Tensor:
    """`x` in float32 at least: what sums over many positions, softmaxes and upsampling are computed in."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def tokens(x: Tensor) -> Tensor:
    """The positions ``(N, h·w, C)`` of a map ``(N, C, h, w)``, row-major."""
    return x.flatten(2).transpose(1, 2)


class Classifier(nn.Module):
    """Class logits of each position: dropout (where asked for) and a 1x1 convolution, in float32 also under autocast.

    Logits near a tie decide labels; bfloat16's 8 significant bits would toss for them.
    """

    def __init__(self, in_channels: int, classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout2d(dropout)
        self.conv = nn.Conv2d(in_channels, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(N, classes, h, w)`` of features ``(N, in_channels, h, w)``."""
        with torch.autocast(x.device.type, enabled=False):
            logits: Tensor = self.conv(self.dropout(wide(x)))
        return logits
