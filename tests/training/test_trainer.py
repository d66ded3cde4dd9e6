"""Steps of small networks, in one process and in two."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from timm.layers import convert_sync_batchnorm
from torch import nn

from geoseg.commands.train import run
from geoseg.datasets.tiles import Tile
from geoseg.errors import ConfigError
from geoseg.inference.normalize import Normalization
from geoseg.metrics import ConfusionMatrix
from geoseg.models import Segmenter, create_model
from geoseg.training import trainer
from geoseg.training.history import read_rows
from geoseg.training.losses import cross_entropy
from geoseg.training.optimizer import rate_factor
from geoseg.training.patches import Batch
from geoseg.training.recipe import Recipe
from geoseg.training.trainer import (
    Trainer,
    choose_aux_weights,
    choose_training_device,
    make_ema,
    update_ema,
)

NORMALIZE = Normalization((120.0,) * 3, (60.0,) * 3, (0.0, 255.0))
WEIGHTS = np.array([1.0, 3.0], np.float32)


def recipe_of(**options: Any) -> Recipe:
    plain = {"device": "cpu", "precision": "fp32", "optimizer": "sgd", "momentum": 0.0}
    return Recipe(**{**plain, "weight_decay": 0.0, "batch": 4, "learning_rate": 0.5, **options})


def pixel_net() -> Segmenter:
    torch.manual_seed(0)
    return create_model("pixel", classes=2)


def random_batch(seed: int = 0) -> Batch:
    """Four patches, all labelled: the mean of the means of parts is the mean."""
    torch.manual_seed(seed)
    pixels, labels = 255 * torch.rand(4, 3, 8, 8), torch.randint(0, 2, (4, 8, 8))
    labels[:, 0] = torch.tensor([0, 1] * 4)
    return Batch(pixels, torch.ones(4, 8, 8, dtype=torch.bool), labels, torch.zeros(4, 5))


def equal_weight_parts(batch: Batch) -> Batch:
    """The same labels in each patch, so that parts have the same class weights as the whole."""
    return batch._replace(labels=batch.labels[:1].repeat(4, 1, 1))


def gradient(net: Segmenter, batch: Batch) -> torch.Tensor:
    """Of the weighted cross-entropy over the whole batch, as one vector."""
    x = NORMALIZE(batch.pixels, batch.valid)
    loss = cross_entropy(net.train()(x).logits, batch.labels, torch.from_numpy(WEIGHTS))
    return torch.cat([part.flatten() for part in torch.autograd.grad(loss, net.parameters())])


def vector(net: nn.Module) -> torch.Tensor:
    return nn.utils.parameters_to_vector(net.parameters()).detach().clone()


@pytest.mark.parametrize("accumulate", [1, 2, 4])
@pytest.mark.parametrize("clip", [None, 0.05, 100.0])
def test_a_step_follows_the_whole_gradient_clipped_once(
    accumulate: int, clip: float | None
) -> None:
    """Clipping each part, or the parts so far, would leave another direction and length."""
    batch, net = equal_weight_parts(random_batch()), pixel_net()
    expected = gradient(net, batch)
    assert expected.norm() > 0.05
    if clip is not None:
        expected *= min(1.0, clip / float(expected.norm()))
    recipe = recipe_of(accumulate=accumulate, clip=clip, steps=10)
    before, rate = vector(net), 0.5 * rate_factor(3, recipe)
    loss, reported = Trainer(net, recipe, NORMALIZE, WEIGHTS).step(3, batch)
    assert reported == pytest.approx(rate)
    torch.testing.assert_close(before - vector(net), rate * expected, rtol=1e-4, atol=1e-6)
    with torch.no_grad():
        outputs = pixel_net().train()(NORMALIZE(batch.pixels, batch.valid))
        whole = cross_entropy(outputs.logits, batch.labels, torch.from_numpy(WEIGHTS))
    assert loss == pytest.approx(float(whole), rel=1e-5)


def test_each_step_begins_without_the_gradient_of_the_last() -> None:
    batch, net = random_batch(), pixel_net()
    made = Trainer(net, recipe_of(steps=10, power=0.0), NORMALIZE, WEIGHTS)
    made.step(0, batch)
    before, expected = vector(net), gradient(net, batch)
    made.step(1, batch)
    torch.testing.assert_close(before - vector(net), 0.5 * expected, rtol=1e-4, atol=1e-6)


def test_a_loss_that_is_not_finite_changes_no_weight() -> None:
    batch, net = random_batch(), pixel_net()
    batch.pixels[3, 0, 0, 0] = torch.inf
    made = Trainer(net, recipe_of(accumulate=2, ema=0.5), NORMALIZE, WEIGHTS)
    before, average = vector(net), vector(made.evaluated_net)
    loss, _ = made.step(0, batch)
    assert not np.isfinite(loss)
    assert torch.equal(vector(net), before)
    assert torch.equal(vector(made.evaluated_net), average)


def test_the_network_that_is_evaluated_is_the_moving_average_in_eval_mode() -> None:
    net = pixel_net()
    made = Trainer(net, recipe_of(ema=0.999, steps=5), NORMALIZE, WEIGHTS)
    before = vector(net)
    made.step(0, random_batch())
    assert made.evaluated_net is not net
    assert not made.evaluated_net.training
    torch.testing.assert_close(vector(made.evaluated_net), 0.1 * before + 0.9 * vector(net))
    plain = Trainer(net, recipe_of(), NORMALIZE, WEIGHTS)
    assert plain.evaluated_net is net
    assert not net.training


@pytest.mark.parametrize("decay", [0.5, 0.999])
def test_the_moving_average_equals_the_sum_written_out(decay: float) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))
    ema = make_ema(net, decay)  # type: ignore[arg-type]
    expected = {name: tensor.double() for name, tensor in net.state_dict().items()}
    for step in range(30):
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(torch.randn_like(parameter))
            net(torch.randn(4, 2, 3, 3))  # running statistics move too
        update_ema(ema, net, step)  # type: ignore[arg-type]
        keep = min(decay, (1 + step) / (10 + step))
        for name, tensor in net.state_dict().items():
            expected[name] = keep * expected[name] + (1 - keep) * tensor.double()
    for name, tensor in ema.module.state_dict().items():
        if name.endswith("num_batches_tracked"):
            assert int(tensor) == 30
        else:
            torch.testing.assert_close(tensor.double(), expected[name], rtol=1e-5, atol=1e-6)


def test_a_state_brings_network_average_and_optimizer_back(tmp_path: Path) -> None:
    recipe = recipe_of(ema=0.9, momentum=0.9, steps=9, optimizer="adamw")
    made = Trainer(pixel_net(), recipe, NORMALIZE, WEIGHTS)
    made.step(0, random_batch(1))
    made.save(tmp_path / "state", {"step": 1})
    made.step(1, random_batch(2))
    torch.manual_seed(7)
    other = Trainer(create_model("pixel", classes=2), recipe, NORMALIZE, WEIGHTS)
    assert other.load(tmp_path / "state") == {"step": 1}
    other.step(1, random_batch(2))
    for net in ("net", "evaluated_net"):
        assert torch.equal(vector(getattr(other, net)), vector(getattr(made, net)))


def test_a_process_alone_is_the_first_and_counts_for_itself() -> None:
    made = Trainer(pixel_net(), recipe_of(), NORMALIZE, WEIGHTS)
    assert (made.rank, made.processes, made.is_main) == (0, 1, True)
    confusion = ConfusionMatrix(2)
    confusion.update(np.array([0, 1], np.uint8), np.array([1, 1], np.uint8))
    np.testing.assert_array_equal(made.sum_over_processes(confusion).matrix, confusion.matrix)


def test_precisions_may_follow_one_another_in_one_process() -> None:
    for precision in ("fp32", "bf16", "fp32"):
        made = Trainer(pixel_net(), recipe_of(precision=precision), NORMALIZE, WEIGHTS)
        assert made.precision == precision
        assert np.isfinite(made.step(0, random_batch())[0])


def test_auxiliary_weights_are_the_papers_unless_given() -> None:
    net = create_model("hcnet", encoder="tu-test_resnet", classes=2, channels=8, prior_channels=8)
    assert choose_aux_weights(net, {}) == net.head.aux_weights == {"prior": 0.8}
    assert choose_aux_weights(net, {"prior": 0.25}) == {"prior": 0.25}
    with pytest.raises(
        ConfigError, match=r"hcnet with .* has no auxiliary output 'coarse'; it has prior"
    ):
        choose_aux_weights(net, {"coarse": 0.4})
    with pytest.raises(ConfigError, match=r"pixel .*has no auxiliary output 'coarse'; it has none"):
        choose_aux_weights(pixel_net(), {"coarse": 0.4})


def test_the_weight_of_an_output_that_options_leave_out_is_refused() -> None:
    net = create_model("isnet", encoder="tu-test_resnet", classes=2, channels=8, preset="paper")
    assert choose_aux_weights(net, {}) == {"semantic": 0.4}
    with pytest.raises(ConfigError, match="no auxiliary output 'deep'; it has semantic"):
        choose_aux_weights(net, {"deep": 0.4})


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
    monkeypatch.setattr(trainer, "_make_accelerator", lambda *_: four)
    with pytest.raises(
        ConfigError, match=r"train\.batch: 12 patches do not split among 4 .* use a multiple of 8"
    ):
        Trainer(pixel_net(), recipe_of(batch=12, accumulate=2), NORMALIZE, WEIGHTS)


def test_each_process_takes_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(
        trainer, "choose_device", lambda name: torch.device("cuda" if name == "auto" else name)
    )
    assert str(choose_training_device("cuda:0")) == "cuda:0"
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert str(choose_training_device("auto")) == "cuda:1"
    assert str(choose_training_device("cpu")) == "cpu"
    with pytest.raises(
        ConfigError, match=r"train\.device: cuda:0 cannot serve 2 processes; use auto"
    ):
        choose_training_device("cuda:0")


WORKER = """
import sys, torch
from geoseg.commands.train import run
from geoseg.training.trainer import Trainer

torch.set_num_threads(1)
config, folder = sys.argv[1:]
run(config, out=f"{folder}/shared")
deep = ["model={system: fcn, encoder: tu-test_resnet, options: {channels: 8}}"]
deep += ["train.learning_rate=0.01"]
run(config, out=f"{folder}/whole", overrides=deep)

class Stopped(Exception):
    pass

def stopping(self, step, batch, real=Trainer.step):
    if step == 4:
        raise Stopped
    return real(self, step, batch)

Trainer.step, real = stopping, Trainer.step
try:
    run(config, out=f"{folder}/stopped", overrides=deep)
except Stopped:
    Trainer.step = real
    run(config, out=f"{folder}/stopped", overrides=deep, resume=True)
"""


SPOILT = """
import os, sys, torch
from geoseg.commands.train import run
from geoseg.errors import SourceError
from geoseg.training import loop
from geoseg.training.patches import Patches

torch.set_num_threads(1)
config, folder = sys.argv[1:]
read, validate = Patches.__getitem__, loop.validate

def spoilt(self, number):
    if os.environ["RANK"] == "1" and number >= 16:  # the fifth step of batches of four
        raise TypeError("spoilt")
    return read(self, number)

def spoilt_validation(*arguments, **options):
    if os.environ["RANK"] == "1":
        raise TypeError("spoilt")
    return validate(*arguments, **options)

def expect(words, **options):
    try:
        run(config, out=f"{folder}/out", **options)
    except SourceError as error:
        assert words in str(error) and "TypeError: spoilt" in str(error), error
    else:
        raise AssertionError("nothing was raised")

Patches.__getitem__ = spoilt
expect("the training data: an error that geoseg does not know")
Patches.__getitem__ = read
loop.validate = spoilt_validation
expect("the validation data: an error that geoseg does not know", resume=True)
loop.validate = validate
run(config, out=f"{folder}/out", resume=True)
run(config, out=f"{folder}/whole")
"""


@pytest.fixture
def config_file(make_tile: Callable[..., Tile], tmp_path: Path) -> Path:
    """Six steps of a network that has neither statistics nor random numbers of its own."""
    for seed, name in enumerate(("train_1", "val_1", "val_2")):
        make_tile(name, seed=seed)
    files = {
        part: {kind: f"{tmp_path}/{kind}/{part}_*.tif" for kind in ("images", "labels")}
        for part in ("train", "val")
    }
    recipe = {
        "steps": 6, "batch": 4, "crop": 32, "learning_rate": 0.5, "class_weights": "none",
        "validate_every": 3, "log_every": 1, "device": "cpu", "precision": "fp32", "pictures": 0,
    }  # fmt: skip
    path = tmp_path / "config.yaml"
    data = {**files, "classes": ["dark", "bright"]}
    path.write_text(yaml.safe_dump({"data": data, "model": {"system": "pixel"}, "train": recipe}))
    return path


def launch_two(config: Path, folder: Path, code: str = WORKER) -> None:
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
            [sys.executable, "-c", code, str(config), str(folder)],
            env=os.environ | shared | {"RANK": rank, "LOCAL_RANK": rank},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1")
    ]
    for process in running:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors


def losses_and_ious(folder: Path) -> list[tuple[str, str]]:
    return [(row["loss"], row["mean_iou"]) for row in read_rows(folder / "metrics.csv")]


@pytest.mark.slow
def test_data_that_one_of_two_processes_cannot_read_ends_both_and_both_continue(
    config_file: Path, tmp_path: Path
) -> None:
    launch_two(config_file, tmp_path, SPOILT)
    assert losses_and_ious(tmp_path / "out") == losses_and_ious(tmp_path / "whole")


@pytest.mark.slow
def test_two_processes_train_like_one_and_resume_exactly(config_file: Path, tmp_path: Path) -> None:
    launch_two(config_file, tmp_path)
    run(config_file, out=tmp_path / "alone")
    alone, shared = losses_and_ious(tmp_path / "alone"), losses_and_ious(tmp_path / "shared")
    assert len(alone) == len(shared) == 6
    np.testing.assert_allclose(
        [float(loss) for loss, _ in shared],
        [float(loss) for loss, _ in alone],
        rtol=1e-4,
        atol=2e-5,
    )
    assert [iou for _, iou in shared] == [iou for _, iou in alone]
    assert losses_and_ious(tmp_path / "stopped") == losses_and_ious(tmp_path / "whole")
    assert len({loss for loss, _ in losses_and_ious(tmp_path / "whole")}) == 6
