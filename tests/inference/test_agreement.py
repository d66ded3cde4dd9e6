"""One device, precision and thread count for all workers; mixtures are refused or said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from geoseg.errors import ConfigError
from geoseg.inference.agreement import Cluster, WorkerFacts, agree, runs_blocks

CPU = WorkerFacts("tcp://a:1", "a", 8, "2.11", "cpu", "AVX512", "fp32")
GPU = replace(CPU, address="tcp://g:1", host="g", device="cuda", processor="H200", precision="bf16")


@pytest.mark.parametrize(
    ("hosts", "asked", "threads"),
    [
        ({"a": (8, 1)}, None, 8),
        ({"a": (8, 3)}, None, 2),
        ({"a": (8, 1), "b": (64, 32)}, None, 2),
        ({"a": (2, 4)}, None, 1),
        ({"a": (8, 2)}, 3, 3),
    ],
)
def test_the_host_with_the_fewest_cores_a_process_decides_torchs_threads_unless_asked(
    hosts: dict[str, tuple[int, int]], asked: int | None, threads: int
) -> None:
    workers = [
        replace(CPU, address=f"tcp://{host}:{number}", host=host, cores=cores)
        for host, (cores, processes) in hosts.items()
        for number in range(processes)
    ]
    agreed = agree(workers, mixed=False, threads=asked)
    assert (agreed.device, agreed.precision, agreed.threads) == ("cpu", "fp32", threads)
    assert agreed.warning is None


@pytest.mark.parametrize(
    ("other", "named", "device", "precision"),
    [
        (replace(CPU, torch="2.14"), "torch 2.14", "cpu", "fp32"),
        (replace(CPU, processor="AVX2"), "AVX2", "cpu", "fp32"),
        (replace(CPU, precision="bf16"), "bf16", "cpu", "fp32"),
        (GPU, "H200", "cpu", "fp32"),
        (replace(GPU, precision="fp32"), "H200", "cpu", "fp32"),
    ],
)
def test_a_mixture_is_refused_with_a_worker_or_said(
    other: WorkerFacts, named: str, device: str, precision: str
) -> None:
    workers = [CPU, replace(CPU, address="tcp://a:2"), replace(other, address="tcp://z:9")]
    with pytest.raises(ConfigError, match=rf"not alike.*{named}.*tcp://z:9.*--mixed"):
        agree(workers, mixed=False, threads=None)
    agreed = agree(workers, mixed=True, threads=None)
    assert (agreed.device, agreed.precision) == (device, precision)
    assert agreed.warning is not None
    assert named in agreed.warning


def test_where_workers_declare_gpus_the_others_do_not_count() -> None:
    declared = replace(GPU, declares_gpu=True)
    assert runs_blocks([CPU, declared]) == [declared]
    small = replace(CPU, cores=1)  # it makes files with as many threads
    agreed = agree([small, declared], mixed=False, threads=None)
    assert (agreed.device, agreed.precision, agreed.threads) == ("cuda", "bf16", 1)
    cluster = Cluster(None, "a run", (CPU, declared), agreed)
    assert (cluster.on_gpus, cluster.processes) == (True, 1)
    assert not Cluster(None, "a run", (CPU, GPU), agreed).on_gpus


@pytest.mark.parametrize(
    ("limits", "share"),
    [
        ([80, 400], 60),  # three quarters of the least limit
        ([400, 400], 150),  # of an equal share, where limits come to more than the host has
        ([None, None], 120),
        ([None, 80], 60),
        ([None, 320], 120),
    ],
)
def test_memory_is_that_of_the_worker_with_the_least(limits: list[int | None], share: int) -> None:
    two = [replace(CPU, memory_limit=limit, free_memory=400) for limit in limits]
    elsewhere = replace(CPU, host="b", memory_limit=200, free_memory=1000)
    workers = (*two, elsewhere)
    cluster = Cluster(None, "a run", workers, agree(workers, mixed=False, threads=None))
    assert cluster.memory == share
