"""The options of ``geoseg predict`` on processes and the memory that they may take."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from geoseg.errors import ConfigError
from geoseg.given import path_text
from geoseg.inference.forward_options import ALL_GPUS
from geoseg.inference.option_values import Reader, flag, number_of, or_none, size

RUN_READERS: dict[str, Reader] = {
    "workers": number_of(int),
    "scheduler": or_none(path_text),
    "mixed": flag,
    "max_memory": or_none(size),
    "max_gpu_memory": or_none(size),
}


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Where the work is done, and in how much memory; no pixel depends on it."""

    device: str = "auto"
    workers: int = 0
    """Worker processes; 0: threads in this process."""
    scheduler: str | None = None
    """Address of a Dask scheduler whose workers run all tasks, or a file that it has written."""
    mixed: bool = False
    """Take workers, or GPUs, that are not alike."""
    max_memory: int | None = None
    """Bytes that all processes of the run may hold; None: a share of what is free."""
    max_gpu_memory: int | None = None
    """Likewise of the memory of each GPU."""

    @classmethod
    def of(cls, options: Any) -> RunOptions:
        """Those among the options of ``geoseg predict``."""
        return cls(**{option.name: getattr(options, option.name) for option in fields(cls)})

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise ConfigError(
                f"workers {self.workers}: give the number of worker processes, or 0 for none"
            )
        if self.workers and self.scheduler:
            raise ConfigError(
                f"workers {self.workers} and scheduler {self.scheduler}: give one of them"
            )
        if self.mixed and self.scheduler is None and self.device != ALL_GPUS:
            raise ConfigError(
                "mixed is about the workers of a cluster; give scheduler, or device cuda:all"
            )
        if self.scheduler is not None and self.device == ALL_GPUS:
            raise ConfigError(
                "device cuda:all is about this machine; with scheduler give cuda, and start a "
                "worker for each GPU"
            )
        if self.scheduler is not None and self.max_memory is not None:
            raise ConfigError(
                "max_memory is about this machine; start the workers of the scheduler with "
                "--memory-limit, which counts for them, and leave it out"
            )
        if self.max_gpu_memory is not None and self.device == "cpu":
            raise ConfigError(
                "max_gpu_memory is about GPUs; leave it out, or give another device than cpu"
            )
