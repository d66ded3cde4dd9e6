"""CPU time of networks with batch normalizations and with these folded into convolutions."""

from __future__ import annotations

import copy
import statistics
import time
from pathlib import Path

import torch

import geoseg
from geoseg.models.folding import fold_batch_norms

REPEATS = 5


def folding(folder: Path) -> None:
    """A window of 512 on one core, channels last: plain, folded, and plain with planes."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for system, encoder in (
        ("smp.unet", "resnet18"),
        ("hcnet", "resnet50"),
        ("fcn", "tu-tf_efficientnet_lite0"),
    ):
        net = geoseg.create_model(system, encoder=encoder, classes=6).eval()
        nets = {
            "planes": (copy.deepcopy(net), torch.contiguous_format),
            "plain": (net.to(memory_format=torch.channels_last), torch.channels_last),
            "folded": (fold_batch_norms(net), torch.channels_last),
        }
        seconds: dict[str, list[float]] = {name: [] for name in nets}
        x = torch.randn(1, 3, 512, 512)
        for _ in range(REPEATS):
            for name, (each, layout) in nets.items():
                laid = x.contiguous(memory_format=layout)
                started = time.process_time()
                with torch.inference_mode():
                    each(laid)
                seconds[name].append(time.process_time() - started)
        median = {name: statistics.median(each) for name, each in seconds.items()}
        print(
            f"{system} on {encoder}: folded {median['folded']:.2f} s, plain "
            f"{median['plain'] / median['folded']:.2f} times, "
            f"in planes {median['planes'] / median['folded']:.2f} times as long",
            flush=True,
        )
