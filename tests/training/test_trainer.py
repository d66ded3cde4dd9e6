from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from geoseg.errors import ConfigError
from geoseg.inference.normalize import Normalization
from geoseg.models import create_model
from geoseg.training import trainer
from geoseg.training.recipe import Recipe
from geoseg.training.trainer import Trainer, convert_sync_batchnorm

NORMALIZE = Normalization((120.0,) * 3, (60.0,) * 3, (0.0, 255.0))


@pytest.mark.parametrize("encoder", ["tu-test_resnet", "tu-test_efficientnet", "resnet18"])
def test_shared_statistics_change_neither_names_nor_answers(encoder: str) -> None:
    torch.manual_seed(0)
    net = create_model("fcn", encoder=encoder, classes=2, channels=8).eval()
    x, names = torch.randn(1, 3, 64, 64), list(net.state_dict())
    with torch.no_grad():
        before = net(x)
        converted = convert_sync_batchnorm(net)
        assert torch.equal(converted(x), before)
    assert converted is net
    assert list(net.state_dict()) == names
    norms = [
        module for module in net.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)
    ]
    assert norms
    assert all(isinstance(module, nn.SyncBatchNorm) for module in norms)


def test_a_batch_must_split_among_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    four = SimpleNamespace(process_index=0, num_processes=4)
    monkeypatch.setattr(trainer, "_accelerator", lambda *_: four)
    recipe = Recipe(batch=12, accumulate=2, device="cpu", precision="fp32")
    with pytest.raises(
        ConfigError, match=r"train\.batch: 12 patches do not split among 4 .* use a multiple of 8"
    ):
        Trainer(create_model("pixel", classes=2), recipe, NORMALIZE, np.ones(2, np.float32))
