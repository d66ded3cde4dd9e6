from __future__ import annotations

import torch

from geoseg.models.context.acf import ACFHead
from tests.models.plain.agreement import check_close, make_map


def test_acf_gives_each_pixel_the_centers_of_its_classes() -> None:
    head = ACFHead((4, 6), 3, channels=12).double().eval()
    middle, deep = make_map(4), make_map(6, seed=1)
    x, p = head.reduce(deep), head.coarse(middle).softmax(1)
    centers = torch.einsum("nkhw,nchw->nkc", p, x) / p.sum((2, 3))[:, :, None]
    y = head.refine(torch.einsum("nkhw,nkc->nchw", p, centers))
    outputs = head([middle, deep])
    check_close(outputs.logits, head.classify(head.fuse(torch.cat([x, y], 1))))
    check_close(outputs.aux["coarse"], head.coarse(middle))
