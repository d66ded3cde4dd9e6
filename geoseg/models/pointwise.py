"""1x1 convolutions in the layout that they are given."""

from __future__ import annotations

from torch import nn


def follow_the_map(net: nn.Module) -> None:
    """Let each 1x1 convolution of a network give its map in the layout of the one that it takes.

    torch lays a map out anew where the weights say channels_last and the map does not. Vectors of
    positions that others reshape to a map of one image are such maps, to torch: its resizing gives
    planes of them. A kernel of one pixel has the same numbers in both layouts, in the same order.

    Args:
        net: in channels_last; its weights are changed in place, in their strides alone.
    """
    for weight in net.parameters():
        if weight.ndim == 4 and weight.shape[2:] == (1, 1):
            weight.data = weight.data.flatten(1)[..., None, None]
