"""Time and peak memory of each context head alone, against plain self-attention in its place."""

from __future__ import annotations

import functools
import importlib
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from geoseg.inference.probe import peak_memory
from geoseg.models import HEADS

SYSTEMS = ("self_attention", "danet", "hcnet", "ocrnet", "apcnet", "isnet", "ranet")
SIZES = ((64, 128), (96, 96))
ARRANGEMENTS = dict.fromkeys(("self_attention", "apcnet", "isnet"), ("geoseg", "plain"))
"""Systems that are also measured as their papers' code arranges them; and RANet's slowest case."""
ARRANGEMENTS["ranet"] = ("geoseg", "one region")
CLASSES = 19
REPEATS = 3


def make_features(height: int, width: int, stages: int, device: str) -> list[Tensor]:
    """Feature maps of stages 3 and 4 with regions of all sizes, as images have them."""
    generator = torch.Generator().manual_seed(0)
    coarse = [
        torch.randn(1, channels, 8, 8, generator=generator) for channels in (1024, 2048)[-stages:]
    ]
    sized = [F.interpolate(x, size=(height, width), mode="bilinear").relu() for x in coarse]
    return [x.to(device, memory_format=torch.channels_last) for x in sized]


def measure(name: str, arrangement: str, size: tuple[int, int], device: str) -> tuple[float, float]:
    """Seconds of the fastest of some forward passes, and MiB that they add to the process or GPU.

    On a CPU these are seconds of one core's work, so that what else runs there counts little.
    """
    clock = time.perf_counter if device == "cuda" else time.process_time
    torch.set_num_threads(1)
    torch.manual_seed(0)
    head_class = HEADS[name]
    head = head_class((1024, 2048)[-head_class.stages :], CLASSES).eval()
    for key, parameter in head.named_parameters():
        if key.endswith("alpha"):
            nn.init.constant_(parameter, 0.5)
    head = head.to(device).to(memory_format=torch.channels_last)
    features = make_features(*size, head_class.stages, device)
    if arrangement == "one region":
        _see_one_region(head)
    run: Callable[..., Any] = head
    if arrangement == "plain":
        classify = importlib.import_module(f"tests.models.plain.{name}").classify
        run = functools.partial(classify, head)
    before = _memory(device)
    seconds = []
    with torch.inference_mode():
        for _ in range(REPEATS):
            _wait(device)
            started = clock()
            run(features)
            _wait(device)
            seconds.append(clock() - started)
    return min(seconds), (_memory(device) - before) / 2**20


def _see_one_region(head: Any) -> None:
    """Have a RANet see one class and no boundary everywhere."""
    for classifier, bias in ((head.semantic, [0.0] * CLASSES), (head.boundary, [9.0, -9.0])):
        nn.init.zeros_(classifier.conv.weight)
        classifier.conv.bias.data = torch.tensor(bias, device=classifier.conv.weight.device)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _memory(device: str) -> int:
    return torch.cuda.max_memory_allocated() if device == "cuda" else peak_memory()


def heads(_: Path) -> None:
    """Each head (2048 channels, 19 classes) against plain self-attention and its own plain form."""
    context = multiprocessing.get_context("spawn")
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        for size in SIZES:
            found = {}
            for name in SYSTEMS:
                for arrangement in ARRANGEMENTS.get(name, ("geoseg",)):
                    with context.Pool(1) as pool:  # a process of its own, so that peaks do not mix
                        found[name, arrangement] = pool.apply(
                            measure, (name, arrangement, size, device)
                        )
            base = found["self_attention", "plain"]
            for (name, arrangement), (seconds, memory) in found.items():
                own = found.get((name, "plain"), (float("nan"), 0.0))[0]
                print(
                    f"{device} {size[0]}x{size[1]} {name:<15} {arrangement:<10} "
                    f"{seconds:7.3f} s {memory:6.0f} MiB  time {seconds / base[0]:.2f}, "
                    f"memory {memory / max(base[1], 1):.2f} of plain self-attention's; "
                    f"{seconds / own:.2f} of its own plain arrangement's time",
                    flush=True,
                )
