"""Maps of a fine stride from an encoder that cannot be dilated."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from geoseg.models.layers import conv_bn_relu, resize

_WIDTH = 256
"""Channels of each map that is given."""


class Neck(nn.Module):
    """The deepest maps of an encoder, each joined with all shallower ones at a finer stride.

    The top-down path of a feature pyramid (Lin et al. 2017, section 3): 1x1 convolutions bring all
    maps to one width; from each of the deepest ones down, a map is resized to the next shallower
    one and added to it; a 3x3 convolution makes the sum smooth. Where all maps of an encoder have
    one stride (plain vision transformers), the sum is resized to the finer one before that.
    """

    channels: tuple[int, ...]
    """Channels of each map that is given, shallow to deep."""

    def __init__(self, channels: Sequence[int], stages: int) -> None:
        """For maps with these channels, shallow to deep, of which the last `stages` are given."""
        super().__init__()
        self.channels = (_WIDTH,) * stages
        self.laterals = nn.ModuleList(nn.Conv2d(count, _WIDTH, 1) for count in channels)
        self.smooth = nn.ModuleList(conv_bn_relu(_WIDTH, _WIDTH, 3) for _ in range(stages))

    def forward(self, maps: Sequence[Tensor], size: tuple[int, int]) -> list[Tensor]:
        """Maps ``(N, 256, *size)`` from ``(N, channels[i], h_i, w_i)``, shallow to deep."""
        sides = [lateral(x) for lateral, x in zip(self.laterals, maps, strict=True)]
        first = len(maps) - len(self.smooth)
        given = []
        for deepest, smooth in enumerate(self.smooth, first):
            total = sides[deepest]
            for side in reversed(sides[:deepest]):
                total = resize(total, side.shape[2:]) + side
            given.append(smooth(resize(total, size)))
        return given
