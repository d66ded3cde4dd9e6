"""A context network, and a training, for the commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.fixtures.models import context_network, save_small


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Bits depend on the number of torch's threads: here as many as each of two workers has."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def hcnet_file(tmp_path: Path) -> Path:
    """A small HCNet, whose answer depends on the window."""
    return save_small(context_network("hcnet", prior_channels=8), tmp_path / "hcnet.safetensors")


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[Path], dict[str, bytes]]:
    """A function that reads all files below a folder, hidden ones too."""

    def read(folder: Path) -> dict[str, bytes]:
        return {
            str(p.relative_to(folder)): p.read_bytes()
            for p in sorted(folder.rglob("*"))
            if p.is_file()
        }

    return read


@pytest.fixture
def config(make_raster: Callable[..., Path], tmp_path: Path) -> dict[str, Any]:
    """A config of a few steps on two small tiles."""
    for seed, name in enumerate(("train_1", "train_2", "val_1")):
        labels = np.kron(
            np.random.default_rng(seed).integers(0, 2, (1, 4, 5)), np.ones((1, 16, 16))
        ).astype(np.uint8)
        image = (
            60 + 120 * labels + np.random.default_rng(seed).integers(0, 20, (4, 64, 80))
        ).astype(np.uint8)
        make_raster(f"images/{name}_ortho.tif", data=image)
        make_raster(f"labels/{name}_gt.tif", data=10 * labels)
    pairs = {
        part: {
            "images": f"{tmp_path}/images/{part}_*_ortho.tif",
            "labels": f"{tmp_path}/labels/{part}_*_gt.tif",
        }
        for part in ("train", "val")
    }
    return {
        "data": {
            **pairs,
            "bands": {"nir": 4, "red": 1},
            "classes": [{"id": 0, "name": "dark"}, {"id": 10, "name": "bright"}],
        },
        "model": {"system": "pixel", "license": "CC0-1.0"},
        "train": {
            "steps": 6,
            "batch": 2,
            "crop": 16,
            "validate_every": 3,
            "log_every": 3,
            "learning_rate": 0.5,
        },
        "predict": {"window": 32, "overlap": 8},
    }
