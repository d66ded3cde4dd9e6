"""A small model file for the commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import geoseg


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    """One 1x1 convolution: 3 bands, 4 classes, windows of 32 pixels."""
    return save(tmp_path / "model.safetensors", geoseg.create_model("pixel", classes=4, in_channels=3))


@pytest.fixture
def hcnet_file(tmp_path: Path) -> Path:
    """A small HCNet on ResNet-18 whose alphas are not 0, so that its context depends on the window."""
    torch.manual_seed(0)
    net = geoseg.create_model("hcnet", encoder="resnet18", classes=4, in_channels=3, channels=16, prior_channels=8)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith("alpha"):
                parameter.fill_(0.7)
    return save(tmp_path / "hcnet.safetensors", net)


def save(path: Path, net: torch.nn.Module) -> Path:
    return geoseg.save_model(
        net,
        path,
        classes=["road", "roof", "grass", "tree"],
        bands=["red", "green", "blue"],
        value_range=(0, 255),
        mean=[120.0] * 3,
        std=[60.0] * 3,
        window=32,
        overlap=8,
        ground_sampling=0.5,
    )


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[Path], dict[str, bytes]]:
    """A function that reads all files below a folder, hidden ones too."""

    def read(folder: Path) -> dict[str, bytes]:
        return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}

    return read
