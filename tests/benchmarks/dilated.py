"""Time of an encoder of dilated depthwise convolutions: by phases, and as torch runs it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from geoseg.models.encoder import build_encoder

ENCODER = "tu-tf_efficientnet_lite0"
REPEATS = 3


def dilated(_: Path) -> None:
    """EfficientNet-Lite0 at output stride 8, seconds of one core, against torch's own dilation."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    phased = build_encoder(ENCODER, output_stride=8)
    plain = smp.encoders.get_encoder(ENCODER, weights=None, output_stride=8)
    plain.load_state_dict(phased.model.state_dict())
    for name, work, size in (
        ("prediction", _predict, (1, 3, 512, 512)),
        ("training step", _train, (4, 3, 224, 224)),
    ):
        x = torch.randn(size).contiguous(memory_format=torch.channels_last)
        seconds = [
            _fastest(work, net.to(memory_format=torch.channels_last), x) for net in (plain, phased)
        ]
        print(
            f"{name}, {size}: torch {seconds[0]:.2f} s, by phases {seconds[1]:.2f} s, "
            f"ratio {seconds[0] / seconds[1]:.2f}",
            flush=True,
        )


def _fastest(work: Callable[[nn.Module, Tensor], None], net: nn.Module, x: Tensor) -> float:
    seconds = []
    for _ in range(REPEATS):
        started = time.process_time()
        work(net, x)
        seconds.append(time.process_time() - started)
    return min(seconds)


def _predict(net: nn.Module, x: Tensor) -> None:
    with torch.inference_mode():
        net.eval()(x)


def _train(net: nn.Module, x: Tensor) -> None:
    net.train()(x)[-1].mean().backward()
