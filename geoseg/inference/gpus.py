"""All GPUs of this machine, a worker process on each: ``--device cuda:all``."""

from __future__ import annotations

import os

import torch

from geoseg.errors import ConfigError
from geoseg.inference.agreement import WorkerFacts
from geoseg.inference.predictor import choose_precision, processor_of


def visible_gpus() -> list[str]:
    """How CUDA_VISIBLE_DEVICES names each GPU that this process sees.

    Raises:
        ConfigError: there is none.
    """
    count = torch.cuda.device_count()
    if not count:
        raise ConfigError(
            "device 'cuda:all' is not there: no CUDA device found; use cpu, with --workers N "
            "for several processes"
        )
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    return (chosen.split(",") if chosen else list(map(str, range(count))))[:count]


def workers_on(gpus: list[str], asked: int) -> int:
    """The worker processes that share so many GPUs, without any the number that was asked for.

    Args:
        gpus: their names.
        asked: by the user; 0: one for each.

    Raises:
        ConfigError: some GPUs would have none.
    """
    if 0 < asked < len(gpus):
        raise ConfigError(
            f"workers {asked}: each of {len(gpus)} GPUs needs one; leave the option out, or choose "
            "GPUs by CUDA_VISIBLE_DEVICES"
        )
    return asked or len(gpus)


def facts_of_gpus(gpus: list[str], precision: str) -> list[WorkerFacts]:
    """What a worker process on each of `visible_gpus` would say of itself.

    Args:
        gpus: their names.
        precision: as the user asks for it.
    """
    devices = [torch.device("cuda", index) for index in range(len(gpus))]
    return [
        WorkerFacts(
            address=f"on GPU {name}",
            host="",
            cores=os.cpu_count() or 1,
            torch=torch.__version__,
            device="cuda",
            processor=processor_of(device),
            precision=str(choose_precision(precision, device)),
        )
        for name, device in zip(gpus, devices, strict=True)
    ]
