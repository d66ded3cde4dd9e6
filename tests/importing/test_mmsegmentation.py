from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from geoseg.importing.mmsegmentation import read
from geoseg.importing.placing import LEFT_OUT
from tests.importing import published
from tests.importing.agreement import CLASSES, DEEP, MIDDLE, check_head, settle

HEADS: dict[str, tuple[nn.Module, str, dict[str, Any]]] = {
    "fcn": (
        published.FCN(DEEP, 8, CLASSES, 2, concat=True),
        "fcn",
        {"channels": 8, "kernel": 3, "convs": 2, "concat": True},
    ),
    "fcn of one convolution": (
        published.FCN(DEEP, 8, CLASSES, 1, concat=False),
        "fcn",
        {"channels": 8, "kernel": 3, "convs": 1, "concat": False},
    ),
    "psp": (published.PSP(DEEP, 8, CLASSES), "ppm", {"channels": 8}),
    "aspp": (
        published.ASPP(DEEP, 8, CLASSES, (12, 24, 36)),
        "aspp",
        {"channels": 8, "kernel": 3},
    ),
    "da": (published.DA(DEEP, 16, CLASSES), "danet", {"channels": 16}),
    "cc": (published.CC(DEEP, 16, CLASSES), "ccnet", {"channels": 16}),
    "apc": (
        published.APC(DEEP, 8, CLASSES, (1, 2, 3, 6)),
        "apcnet",
        {"channels": 8, "scales": (1, 2, 3, 6), "deep": False},
    ),
    "ocr": (
        published.OCR(MIDDLE, DEEP, 10, 8, CLASSES),
        "ocrnet",
        {
            "channels": 10,
            "key_channels": 8,
            "coarse": "conv",
            "coarse_channels": 5,
            "resizing": "own",
        },
    ),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_head_gives_the_published_logits_with_the_same_weights(name: str) -> None:
    net, system, options = HEADS[name]
    blueprint, entries = check_head(
        settle(net), "decode_head.", lambda tensors: read(tensors, None), (MIDDLE, DEEP)
    )
    assert (blueprint.system, dict(blueprint.options)) == (system, options)
    left_out = [entry.source for entry in entries if entry.what == LEFT_OUT]
    beside = ["decode_head.pam_conv_seg", "decode_head.cam_conv_seg"]
    assert sorted(left_out) == (sorted(beside) if name == "da" else [])


def test_an_auxiliary_head_is_taken_where_geoseg_has_it_too_and_else_left_out() -> None:
    def tensors_of(head: nn.Module, auxiliary: nn.Module) -> dict[str, Tensor]:
        both = nn.ModuleDict({"decode_head": head, "auxiliary_head": auxiliary})
        return dict(both.state_dict())

    deep = published.FCN(MIDDLE, 4, CLASSES, 1, concat=False)
    apc = read(tensors_of(published.APC(DEEP, 8, CLASSES, (1, 2)), deep), None)
    assert apc.options["deep"]
    assert {rule.target for rule in apc.rules if rule.source.startswith("auxiliary")} == {
        None,
        "head.deep.0.0",
        "head.deep.0.1",
        "head.deep.1.conv",
    }
    psp = read(tensors_of(published.PSP(DEEP, 8, CLASSES), deep), None)
    assert [r.target for r in psp.rules if r.source.startswith("auxiliary")] == [None]


def test_over_hrnet_branches_are_resized_as_there() -> None:
    tensors = published.FCN(DEEP, 8, CLASSES, 1, concat=False).state_dict()
    renamed = {f"decode_head.{name}": tensor for name, tensor in tensors.items()}
    blueprint = read(renamed, "tu-hrnet_w18")
    assert (blueprint.options["resizing"], blueprint.strided) == ("bilinear", False)


def test_the_file_that_is_cut_short_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"has no convolution 'decode_head.bottleneck.conv.weight'"
    ):
        read({"decode_head.psp_modules.0.1.conv.weight": torch.zeros(1, 1, 1, 1)}, None)
