"""torchvision's heads, and geoseg's with the same weights."""

from __future__ import annotations

import pytest
from torch import nn
from torchvision.models.segmentation.deeplabv3 import DeepLabHead
from torchvision.models.segmentation.fcn import FCNHead
from torchvision.models.segmentation.lraspp import LRASPPHead

from geoseg.importing.torchvision_networks import read
from tests.importing.agreement import CLASSES, DEEP, check_head, settle


@pytest.mark.parametrize(
    ("head", "system", "options"),
    [
        (FCNHead(4 * DEEP, CLASSES), "fcn", {"channels": DEEP}),
        (DeepLabHead(4 * DEEP, CLASSES), "aspp", {"channels": 256, "smooth": True}),
    ],
)
def test_a_head_gives_its_logits(
    head: nn.Module, system: str, options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = settle(head).forward
    monkeypatch.setattr(head, "forward", lambda maps: run(maps[-1]))
    blueprint, entries = check_head(head, "classifier.", read, (4 * DEEP,))
    assert (blueprint.system, blueprint.options) == (system, options)
    assert {entry.what for entry in entries} == {"used"}


def test_the_third_one_is_refused_with_what_runs_it() -> None:
    head = LRASPPHead(4, 8, CLASSES, 16)
    tensors = {f"classifier.{name}": tensor for name, tensor in head.state_dict().items()}
    assert "LR-ASPP, which geoseg does not have; geoseg.wrap runs it" in str(read(tensors).refusal)
