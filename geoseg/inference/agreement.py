"""What the worker processes of a cluster are, and the one way in which a run uses all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from geoseg.errors import ConfigError
from geoseg.memory import FREE_SHARE

LIMIT_SHARE = 0.75
"""Of a worker's memory limit: at 80 % of it Dask gives the worker no more tasks."""
GPU = "GPU"
"""The Dask resource that workers with a GPU may declare; blocks then go to these alone."""


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """What a worker process says of itself."""

    address: str
    host: str
    cores: int
    """Of its host."""
    torch: str
    """Its version."""
    device: str
    """What its network runs on: ``cpu`` or ``cuda``."""
    processor: str
    """Which one, as far as it decides the last bits of a sum."""
    precision: str
    fault: str | None = None
    """Why it cannot take part, and what to do."""
    declares_gpu: bool = False
    memory_limit: int | None = None
    """Bytes that it was started with; None: without a limit."""
    free_memory: int = 0
    """Bytes that its host has left, and that it holds itself."""

    @property
    def kind(self) -> str:
        """What workers must share so that it does not matter which one runs a block."""
        return f"torch {self.torch}, {self.device} ({self.processor}), {self.precision}"


@dataclass(frozen=True, slots=True)
class Agreement:
    """How all workers run windows."""

    device: str
    precision: str
    threads: int
    """Torch threads of each process."""
    kinds: tuple[str, ...]
    """Of the workers that run blocks; one, unless they were allowed to be mixed."""

    @property
    def warning(self) -> str | None:
        """What the user is told of mixed workers."""
        if len(self.kinds) == 1:
            return None
        return (
            f"workers are mixed ({'; '.join(self.kinds)}): the last bits of probabilities depend "
            "on which one runs a block, and so may a few labels"
        )


@dataclass(frozen=True, slots=True)
class Cluster:
    """Workers that run already, and how a run uses them."""

    client: Any
    """A `distributed.Client`."""
    name: str
    """Of the run and no other."""
    workers: tuple[WorkerFacts, ...]
    agreement: Agreement
    warnings: tuple[str, ...] = ()
    """What the user is told of the cluster besides."""

    @property
    def on_gpus(self) -> bool:
        """Whether blocks go to workers that declare a GPU."""
        return any(worker.declares_gpu for worker in self.workers)

    @property
    def processes(self) -> int:
        """How many run blocks."""
        return len(runs_blocks(self.workers))

    @property
    def memory(self) -> int:
        """Bytes that each worker may hold, as the least of them has.

        Limits of one host may come to more than it has: several `dask worker` each take all of it.
        """
        hosts = Counter(worker.host for worker in self.workers)
        return min(
            int(LIMIT_SHARE * min(worker.memory_limit, worker.free_memory // hosts[worker.host]))
            if worker.memory_limit
            else int(FREE_SHARE * worker.free_memory) // hosts[worker.host]
            for worker in self.workers
        )


def agree(workers: Sequence[WorkerFacts], *, mixed: bool, threads: int | None) -> Agreement:
    """One device, precision and thread count for all workers.

    Args:
        workers: those that can take part; not empty.
        mixed: take workers that are not alike.
        threads: torch threads that were asked for; None: the cores of a host are shared by its
            workers, and the least share of all counts.

    Raises:
        ConfigError: they are not alike, and that is not allowed.
    """
    network = runs_blocks(workers)
    kinds = Counter(worker.kind for worker in network)
    if len(kinds) > 1 and not mixed:
        shown = "; ".join(f"{count} x {kind}" for kind, count in kinds.most_common(4))
        rare = kinds.most_common()[-1][0]
        example = next(worker.address for worker in network if worker.kind == rare)
        raise ConfigError(
            f"the workers are not alike ({shown}; such as {example}), so labels would depend on "
            "which one runs a block; give --device and --precision that all have, start equal "
            "ones, or allow it with --mixed"
        )
    devices = {worker.device for worker in network}
    precisions = {worker.precision for worker in network}
    hosts = Counter(worker.host for worker in workers)
    share = min(max(1, worker.cores // hosts[worker.host]) for worker in workers)
    return Agreement(
        device=devices.pop() if len(devices) == 1 else "cpu",
        precision=precisions.pop() if len(precisions) == 1 else "fp32",
        threads=threads or share,
        kinds=tuple(sorted(kinds)),
    )


def runs_blocks(workers: Sequence[WorkerFacts]) -> list[WorkerFacts]:
    """The workers that blocks go to: those that declare a GPU, where any does."""
    with_gpu = [worker for worker in workers if worker.declares_gpu]
    return with_gpu or list(workers)
