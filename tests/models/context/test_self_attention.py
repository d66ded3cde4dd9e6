from __future__ import annotations

from dataclasses import asdict

import torch

from geoseg.models.context.self_attention import SelfAttentionHead
from tests.models.plain.agreement import check_close, make_map


def test_self_attention_is_a_softmax_over_all_positions() -> None:
    head = SelfAttentionHead((6,), 3, channels=12, key_channels=8).double().eval()
    x = head.reduce(make_map(6))
    q, k, v = (part(x).flatten(2) for part in (head.query, head.key, head.value))
    weights = (torch.einsum("ndi,ndj->nij", q, k) / 8**0.5).softmax(2)
    context = head.out(torch.einsum("nij,ndj->ndi", weights, v).unflatten(2, (5, 7)))
    check_close(head([make_map(6)]).logits, head.classify(head.fuse(torch.cat([context, x], 1))))


def test_presets_and_outputs_are_those_that_model_files_rely_on() -> None:
    assert asdict(SelfAttentionHead.presets["geoseg"]) == {
        "resizing": "own",
        "channels": 512,
        "key_channels": 256,
    }
    assert (SelfAttentionHead.name, SelfAttentionHead.stages) == ("self_attention", 1)
    assert SelfAttentionHead.aux_weights == {}
