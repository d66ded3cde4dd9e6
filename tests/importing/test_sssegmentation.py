from __future__ import annotations

from geoseg.importing.placing import USED
from geoseg.importing.sssegmentation import read
from tests.importing.agreement import CLASSES, DEEP, MIDDLE, check_head, settle
from tests.importing.published_isnet import ISNet


def test_isnet_gives_the_published_logits_with_the_same_weights() -> None:
    net = settle(ISNet(MIDDLE, DEEP, 10, 8, CLASSES))
    blueprint, entries = check_head(net, "", read, (MIDDLE, DEEP))
    assert dict(blueprint.options) == {"channels": 10, "key_channels": 8, "deep": True}
    assert {entry.what for entry in entries} == {USED}


def test_without_its_auxiliary_decoder_stage_3_is_not_supervised() -> None:
    net = ISNet(MIDDLE, DEEP, 10, 8, CLASSES)
    del net.auxiliary_decoder
    blueprint, _ = check_head(settle(net), "", read, (MIDDLE, DEEP))
    assert blueprint.options["deep"] is False
