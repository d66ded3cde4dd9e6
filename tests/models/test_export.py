"""Exported heads give the same logits at any size and batch, with several threads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from geoseg.models import HEADS

CASES: dict[str, dict[str, Any]] = {
    "hcnet": {"channels": 64, "prior_channels": 16},
    "ocrnet": {"channels": 64, "key_channels": 32},
    "apcnet": {"channels": 64},
    "isnet": {"channels": 64, "key_channels": 32},
    "ppm": {"channels": 64},
    "aspp": {"channels": 32},
    "self_attention": {"channels": 64, "key_channels": 32},
    "double_attention": {"channels": 64, "key_channels": 32},
    "ccnet": {"channels": 64},
    "danet": {"channels": 64},
    "ann": {"channels": 64, "key_channels": 32},
    "dnl": {"channels": 64, "key_channels": 32},
    "acf": {"channels": 64},
    "psanet": {"channels": 64, "size": 33},
}


class Bare(nn.Module):
    """The main logits of a head, its two features stacked into one input."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.head([features[:, :24], features[:, 24:]]).logits
        return logits


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_exported_head_gives_the_same_logits(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    head = HEADS[name]((24, 32), 19, **CASES[name])
    for key, parameter in head.named_parameters():
        if key.endswith("alpha"):
            nn.init.constant_(parameter, 0.5)
    net, file = Bare(head).eval(), tmp_path / "head.onnx"
    axes = {0: "images", 2: "height", 3: "width"}
    torch.onnx.export(
        net,
        (torch.randn(2, 56, 64, 128),),
        file,
        dynamo=True,
        input_names=["features"],
        dynamic_shapes={
            "features": {
                axis: torch.export.Dim(label, min=1, max=4096) for axis, label in axes.items()
            }
        },
        verbose=False,
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    for images, height, width in [
        (1, 64, 128),
        (1, 64, 128),
        (3, 40, 56),
        (1, 2, 3),
    ]:  # 19 classes: some absent
        features = torch.randn(images, 56, height, width)
        with torch.no_grad():
            expected = net(features).numpy()
        (found,) = session.run(None, {"features": features.numpy()})
        assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()
