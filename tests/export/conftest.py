"""A small model in a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import geoseg
from geoseg.models import Model


@pytest.fixture(scope="session")
def exported_model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    torch.manual_seed(0)
    path: Path = tmp_path_factory.mktemp("model") / "model.safetensors"
    geoseg.save_model(
        geoseg.create_model("pixel", classes=3, in_channels=2),
        path,
        classes=["road", "Dächer", "grass: tall"],
        bands=["red", "nir"],
        value_range=(0, 2047),
        mean=[700.0, 900.0],
        std=[150.0, 210.5],
        window=96,
        overlap=24,
        ground_sampling=0.25,
        training={"steps": 3},
        license="CC-BY-4.0",
    )
    return geoseg.load_model(path)
