from __future__ import annotations

import pytest
import torch

from geoseg.errors import ModelError
from geoseg.importing.ocr import read_hrnet, read_openseg
from geoseg.importing.placing import CHANGED, FOLDED
from tests.importing.agreement import CLASSES, DEEP, MIDDLE, check_head, settle
from tests.importing.published_ocr import HRNetOCR, OpensegOCR


def test_openseg_gives_the_published_logits_with_biases_folded_into_norms() -> None:
    net = settle(OpensegOCR(MIDDLE, DEEP, 10, 8, CLASSES))
    blueprint, entries = check_head(net, "", read_openseg, (MIDDLE, DEEP))
    assert dict(blueprint.options) == {
        "channels": 10,
        "key_channels": 8,
        "coarse": "conv",
        "coarse_channels": 10,
    }
    folded = [entry.source for entry in entries if entry.what == FOLDED]
    assert len(folded) == 9
    assert "spatial_ocr_head.object_context_block.f_up.0.bias" in folded
    changed = [entry.source for entry in entries if entry.what == CHANGED]
    assert changed == ["spatial_ocr_head.conv_bn_dropout.0.weight"]


def test_hrnet_gives_the_published_logits_from_one_map() -> None:
    net = settle(HRNetOCR(DEEP, 10, 8, CLASSES))
    blueprint, _ = check_head(net, "", read_hrnet, (DEEP, DEEP))
    assert blueprint.preset == "released"
    assert (blueprint.options["coarse"], blueprint.options["coarse_channels"]) == ("pointwise", 16)


def test_norms_with_a_leaky_relu_inside_are_refused() -> None:
    with pytest.raises(ModelError, match=r"InPlaceABN's, with a leaky ReLU inside, .* geoseg.wrap"):
        read_openseg({"conv_3x3.1.weight": torch.zeros(3)})
