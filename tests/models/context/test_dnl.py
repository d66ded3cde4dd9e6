from __future__ import annotations

from dataclasses import asdict

import pytest
import torch

from geoseg.models.context.dnl import DNLHead
from tests.models.plain.agreement import check_close, make_map


@pytest.mark.parametrize("temperature", [1.0, 0.05])
def test_dnl_adds_a_whitened_pairwise_and_a_unary_term(temperature: float) -> None:
    sizes = {"channels": 12, "key_channels": 8, "temperature": temperature}
    head = DNLHead((6,), 3, **sizes).double().eval()
    part, x = head.attention, head.reduce(make_map(6))
    q, k, v, m = (conv(x).flatten(2) for conv in (part.query, part.key, part.value, part.mask))
    q, k = q - q.mean(2, keepdim=True), k - k.mean(2, keepdim=True)
    weights = (torch.einsum("ndi,ndj->nij", q, k) / temperature).softmax(2) + m.softmax(2)
    y = x + part.out(torch.einsum("nij,ndj->ndi", weights, v).unflatten(2, (5, 7)))
    check_close(
        head([make_map(6)]).logits,
        head.classify(head.fuse(torch.cat([make_map(6), head.smooth(y)], 1))),
    )


def test_presets_and_outputs_are_those_that_model_files_rely_on() -> None:
    assert asdict(DNLHead.presets["geoseg"]) == {
        "resizing": "own",
        "channels": 512,
        "key_channels": 256,
        "temperature": 1.0,
    }
    assert (DNLHead.name, DNLHead.stages) == ("dnl", 1)
    assert DNLHead.aux_weights == {}
