"""What a worker process says of itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest
import torch

from geoseg.inference.worker_facts import facts_of_worker
from tests.inference.test_worker import Worker


def test_a_worker_says_what_decides_the_last_bits_and_whether_it_declares_a_gpu() -> None:
    facts = facts_of_worker("cpu", "fp32", None, (), Worker(GPU=1))
    assert (facts.address, facts.device, facts.precision) == ("tcp://w:1", "cpu", "fp32")
    assert (facts.torch, facts.cores) == (torch.__version__, os.cpu_count())
    assert facts.processor == torch.backends.cpu.get_cpu_capability()
    assert (facts.declares_gpu, facts.fault) == (True, None)
    assert not facts_of_worker("cpu", "fp32", None, (), Worker(memory=1)).declares_gpu


@pytest.mark.parametrize(
    ("device", "precision", "fault"),
    [("cuda:99", "fp32", "device 'cuda:99' is not there"), ("cpu", "fp16", "precision fp16 is")],
)
def test_what_the_machine_lacks_is_a_fault_of_the_worker(
    device: str, precision: str, fault: str
) -> None:
    facts = facts_of_worker(device, precision, None, (), Worker())
    assert str(facts.fault).startswith(f"cannot take part: {fault}")


def test_a_worker_tries_to_write_where_it_sees_the_token_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "out/.geoseg/token-1"
    blind = facts_of_worker("cpu", "fp32", token, (), Worker()).fault
    assert blind == (
        f"does not see the output folder {tmp_path / 'out'}; give --out on a path that all share"
    )
    token.parent.mkdir(parents=True)
    token.touch()
    assert facts_of_worker("cpu", "fp32", token, (), Worker()).fault is None
    assert list(token.parent.iterdir()) == [token]

    def denied(*_: object) -> NoReturn:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", denied)
    fault = facts_of_worker("cpu", "fp32", token, (), Worker()).fault
    folder = f"the output folder {tmp_path / 'out'}"
    assert fault == f"cannot write into {folder} (Permission denied); let its user do so"


def test_the_first_source_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    seen, unseen = tmp_path / "a.tif", tmp_path / "b.tif"
    seen.touch()
    assert facts_of_worker("cpu", "fp32", None, [seen], Worker()).fault is None
    fault = facts_of_worker("cpu", "fp32", None, [seen, unseen], Worker()).fault
    assert fault == f"cannot read {unseen}; give inputs on a path that all workers share"
