from __future__ import annotations

from dataclasses import asdict

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


def test_presets_and_outputs_are_those_that_model_files_rely_on() -> None:
    assert asdict(ACFHead.presets["geoseg"]) == {"resizing": "own", "channels": 512}
    assert (ACFHead.name, ACFHead.stages) == ("acf", 2)
    assert ACFHead.aux_weights == {"coarse": 0.4}


def test_a_class_that_no_pixel_comes_near_has_a_center_like_any_other() -> None:
    head = ACFHead((4, 6), 3, channels=12).eval()
    torch.nn.init.zeros_(head.coarse.conv.weight)
    head.coarse.conv.bias.data = torch.tensor([0.0, -300.0, -14.0])
    middle, deep = make_map(4).float(), make_map(6, seed=1).float()
    x = head.reduce(deep)
    mean = x.mean((2, 3), keepdim=True)  # each center is the mean, and the shares sum to 1
    expected = head.classify(head.fuse(torch.cat([x, head.refine(mean.expand_as(x))], 1)))
    torch.testing.assert_close(head([middle, deep]).logits, expected, rtol=1e-6, atol=1e-6)
