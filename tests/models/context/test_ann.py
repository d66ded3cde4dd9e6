from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from geoseg.models.context.ann import ANNHead
from tests.models.plain.agreement import check_close, make_map


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
        return block.out(torch.einsum("nij,ndj->ndi", weights, v).unflatten(2, (5, 7)))

    x = head.reduce(head.mix(torch.cat([attend(head.fusion, deep, middle), deep], 1)))
    expected = head.classify(head.fuse(torch.cat([attend(head.pyramid, x, x), x], 1)))
    check_close(head([middle, deep]).logits, expected)
