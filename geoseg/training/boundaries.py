"""Where objects meet, from labels: what boundary maps are trained against."""

from __future__ import annotations

import torch
from torch import Tensor

from geoseg.classes import NODATA

RADIUS = 2
"""How far from another class a pixel is still on the boundary, pixels."""


def boundary_labels(labels: Tensor) -> Tensor:
    """1 where another class is within `RADIUS`, else 0; 255 where there is no label.

    A pixel without a label makes no boundary, and neither does the edge of the image: it is where a window was cut,
    not where an object ends. (The released code of RANet marks both, and leaves class 0 out.)

    Args:
        labels: ``(N, H, W)`` int64 class ids, 255 unlabelled.

    Returns:
        ``(N, H, W)`` int64.
    """
    labelled = labels != NODATA
    near = torch.zeros_like(labelled)
    for down in range(RADIUS + 1):
        for right in range(-RADIUS, RADIUS + 1):
            if (down, right) > (0, 0) and down**2 + right**2 <= RADIUS**2:
                one, other = _shifted(down, right)
                differ = (labels[one] != labels[other]) & labelled[one] & labelled[other]
                near[one] |= differ
                near[other] |= differ
    return near.long().masked_fill(~labelled, NODATA)


def _shifted(down: int, right: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where in ``(N, H, W)`` the pixels are that have a pixel `down` and `right` of them, and where those are."""
    before, after = slice(0, -down or None), slice(down, None)
    left, beyond = (
        slice(max(0, -right), -right if right > 0 else None),
        slice(max(0, right), right if right < 0 else None),
    )
    return (slice(None), before, left), (slice(None), after, beyond)
