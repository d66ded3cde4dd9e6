"""Small networks for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from geoseg.models import Segmenter, create_model

WIDTHS = {
    "hcnet": {"channels": 16, "prior_channels": 8},
    "ocrnet": {"channels": 16, "key_channels": 8},
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Bitwise comparisons hold for one number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_net(system: str = "hcnet", **options: Any) -> Segmenter:
    """A small seeded network in eval mode, with the gates of its context open."""
    torch.manual_seed(0)
    if system != "pixel":
        options = {"encoder": "tu-mobilenetv3_small_050", **options}
    net = create_model(system, **{"classes": 4, **WIDTHS.get(system, {}), **options})
    for name, parameter in net.named_parameters():
        if name.endswith("alpha"):
            nn.init.constant_(parameter, 0.5)
    return net.eval()
