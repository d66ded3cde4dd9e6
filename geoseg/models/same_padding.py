"""The padding of TensorFlow in traced graphs, as numbers rather than formulas of the sides."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def constant_same_padding(multiple: int) -> Iterator[None]:
    """Have timm's layers pad by the number that all sides that their stride divides have.

    Along a side of h pixels, a filter of k taps, dilated by d, with a stride of s gives ceil(h / s)
    positions if it is padded by max((ceil(h / s) - 1) s + (k - 1) d + 1 - h, 0) pixels. Where s
    divides h, that is max((k - 1) d + 1 - s, 0), whatever h is. As a formula of h it goes into the
    sizes of all layers behind, and torch compares sizes for each of them: a few such layers take
    minutes to trace. Other sides get their own padding as before, so that no number is another.

    Args:
        multiple: of which the sides of all images are. The image that is traced has odd ones: then
            a side within the network is divided by a stride only if those of all images are.
    """
    # A network of timm's layers has imported them; others need no wait for timm.
    padding: Any = sys.modules.get("timm.layers.padding")
    if padding is None or multiple == 1:
        yield
        return
    of_any_side = padding.get_same_padding

    def get_same_padding(side: Any, kernel_size: int, stride: int, dilation: int) -> int:
        seen: Any = side.node.hint if isinstance(side, torch.SymInt) else side
        if seen % stride:
            padded: int = of_any_side(side, kernel_size, stride, dilation)
            return padded
        torch._check(side % stride == 0)  # the graph refuses an image for which it is not so
        return max((kernel_size - 1) * dilation + 1 - stride, 0)

    padding.get_same_padding = get_same_padding
    try:
        yield
    finally:
        padding.get_same_padding = of_any_side
