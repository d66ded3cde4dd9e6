"""Two processes on one machine learn what one learns, and go on exactly where they stopped."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from geoseg.commands.train import run
from geoseg.datasets.tiles import Tile
from geoseg.errors import ConfigError
from geoseg.training import trainer
from geoseg.training.history import read_rows
from geoseg.training.trainer import choose_training_device

MakeTile = Callable[..., Tile]
WORKER = """
import sys, torch
from geoseg.commands.train import run
from geoseg.training.trainer import Trainer

torch.set_num_threads(1)
config, folder = sys.argv[1:]
run(config, out=f"{folder}/shared")
deep = ["model={system: fcn, encoder: tu-test_resnet, options: {channels: 8}}", "train.learning_rate=0.01"]
run(config, out=f"{folder}/whole", overrides=deep)

class Pulled(Exception):
    pass

def pulled(self, step, batch, real=Trainer.step):
    if step == 4:
        raise Pulled
    return real(self, step, batch)

Trainer.step, real = pulled, Trainer.step
try:
    run(config, out=f"{folder}/stopped", overrides=deep)
except Pulled:
    Trainer.step = real
    run(config, out=f"{folder}/stopped", overrides=deep, resume=True)
"""


@pytest.fixture
def config(make_tile: MakeTile, tmp_path: Path) -> Path:
    """Three tiles, six steps of a network that has neither statistics nor random numbers of its own."""
    for seed, name in enumerate(("train_1", "val_1", "val_2")):
        make_tile(name, seed=seed)
    files = {
        part: {kind: f"{tmp_path}/{kind}/{part}_*.tif" for kind in ("images", "labels")}
        for part in ("train", "val")
    }
    train: dict[str, Any] = {
        "steps": 6,
        "batch": 4,
        "crop": 32,
        "learning_rate": 0.5,
        "class_weights": "none",
    }
    train |= {
        "validate_every": 3,
        "log_every": 1,
        "device": "cpu",
        "precision": "fp32",
        "pictures": 0,
    }
    path = tmp_path / "config.yaml"
    data = {**files, "classes": ["dark", "bright"]}
    path.write_text(yaml.safe_dump({"data": data, "model": {"system": "pixel"}, "train": train}))
    return path


def launch_two(config: Path, folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(config), str(folder)],
            env=os.environ | shared | {"RANK": rank, "LOCAL_RANK": rank},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1")
    ]
    for process in running:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors


def figures(folder: Path) -> list[tuple[str, str]]:
    return [(row["loss"], row["mean_iou"]) for row in read_rows(folder / "metrics.csv")]


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_and_resume_exactly(
    config: Path, tmp_path: Path
) -> None:
    launch_two(config, tmp_path)
    run(config, out=tmp_path / "alone")
    alone, shared = figures(tmp_path / "alone"), figures(tmp_path / "shared")
    assert len(alone) == len(shared) == 6
    np.testing.assert_allclose(
        [float(loss) for loss, _ in shared],
        [float(loss) for loss, _ in alone],
        rtol=1e-4,
        atol=2e-5,
    )
    assert [iou for _, iou in shared] == [iou for _, iou in alone]
    assert figures(tmp_path / "stopped") == figures(tmp_path / "whole")
    assert len({loss for loss, _ in figures(tmp_path / "whole")}) == 6


def test_each_process_takes_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(
        trainer,
        "choose_device",
        lambda name: trainer.torch.device("cuda" if name == "auto" else name),
    )
    assert str(choose_training_device("auto")) == "cuda:1"
    assert str(choose_training_device("cpu")) == "cpu"
    with pytest.raises(
        ConfigError, match=r"train\.device: cuda:0 cannot serve 2 processes; use auto"
    ):
        choose_training_device("cuda:0")
