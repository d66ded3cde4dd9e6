from __future__ import annotations

from dataclasses import asdict

import torch

from geoseg.models.context.double_attention import DoubleAttentionHead
from tests.models.plain.agreement import check_close, make_map


def test_double_attention_gathers_and_distributes() -> None:
    head = DoubleAttentionHead((6,), 3, channels=12, key_channels=8, descriptors=4).double().eval()
    x = head.reduce(make_map(6))
    a, b, v = (part(x).flatten(2) for part in (head.features, head.gather, head.distribute))
    gathered = torch.einsum("nmi,nki->nmk", a, b.softmax(2))
    z = torch.einsum("nmk,nki->nmi", gathered, v.softmax(1)).unflatten(2, (5, 7))
    check_close(
        head([make_map(6)]).logits, head.classify(head.fuse(torch.cat([head.out(z), x], 1)))
    )


def test_presets_and_outputs_are_those_that_model_files_rely_on() -> None:
    assert asdict(DoubleAttentionHead.presets["geoseg"]) == {
        "resizing": "own",
        "channels": 512,
        "key_channels": 256,
        "descriptors": 64,
    }
    assert (DoubleAttentionHead.name, DoubleAttentionHead.stages) == ("double_attention", 1)
    assert DoubleAttentionHead.aux_weights == {}
