"""Point-wise spatial attention, pair by pair."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from geoseg.models.context.psanet import PointwiseAttention


def attend(module: PointwiseAttention, x: Tensor) -> Tensor:
    """The module's map, each weight looked up by itself."""
    x = module.reduce(x)
    height, width = ((side + 1) // 2 for side in x.shape[2:])
    x = F.interpolate(x, size=(height, width), mode="bilinear", align_corners=False)
    reach, places = (
        module.reach,
        [(row, column) for row in range(height) for column in range(width)],
    )
    predicted = module.predict(module.adapt(x)).unflatten(1, (2 * reach + 1, 2 * reach + 1))

    def weight(source: tuple[int, int], target: tuple[int, int]) -> Tensor:
        """What the position `source` predicts about `target`."""
        row, column = (
            min(max(b - a, -reach), reach) + reach for a, b in zip(source, target, strict=True)
        )
        return predicted[:, row, column, source[0], source[1]]

    out = torch.empty_like(x)
    for i in places:
        logits = torch.stack(
            [weight(j, i) if module.distribute else weight(i, j) for j in places], 1
        )
        out[:, :, i[0], i[1]] = torch.einsum("nj,ncj->nc", logits.softmax(1), x.flatten(2))
    return out
