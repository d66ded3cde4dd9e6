from __future__ import annotations

from dataclasses import asdict

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


def test_presets_and_outputs_are_those_that_model_files_rely_on() -> None:
    assert asdict(ANNHead.presets["geoseg"]) == {
        "resizing": "own",
        "channels": 512,
        "key_channels": 256,
    }
    assert (ANNHead.name, ANNHead.stages) == ("ann", 2)
    assert ANNHead.aux_weights == {}


def test_blocks_have_the_widths_of_the_paper() -> None:
    with torch.device("meta"):
        head = ANNHead((1024, 2048), 19)
    fusion, pyramid = head.fusion, head.pyramid
    assert fusion.query[0].weight.shape == (256, 2048, 1, 1)
    assert fusion.key[0].weight.shape == fusion.value.weight.shape == (256, 1024, 1, 1)
    assert fusion.out.weight.shape == (2048, 256, 1, 1)
    assert head.mix[0].weight.shape == (2048, 4096, 1, 1)
    assert head.reduce[0].weight.shape == (512, 2048, 3, 3)
    assert pyramid.key is pyramid.query
    assert pyramid.value.weight.shape == (256, 512, 1, 1)
    assert pyramid.out.weight.shape == (512, 256, 1, 1)
    assert head.fuse[0].weight.shape == (512, 1024, 1, 1)
    assert fusion.value.bias is fusion.out.bias is head.mix[0].bias is None
