"""What all rasters of a run share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
import torch

from geoseg.errors import ConfigError
from geoseg.inference import run as run_module
from geoseg.inference import stories
from geoseg.inference.choice import Choice
from geoseg.inference.forward_options import ForwardOptions
from geoseg.inference.keys import pixel_settings
from geoseg.inference.run import PredictRun
from geoseg.inference.stories import Lane, Task
from geoseg.models import Model

MakeRun = Callable[..., PredictRun]


@pytest.fixture
def five_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(5)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("five_threads")
@pytest.mark.parametrize(("workers", "threads"), [(0, 5), (1, 5), (2, 2), (5, 1), (9, 1)])
def test_worker_processes_share_torchs_threads(
    make_run: MakeRun, workers: int, threads: int
) -> None:
    assert make_run(workers=workers).threads == threads


def test_options_become_forward_options_and_settings(
    make_run: MakeRun, make_model: Callable[..., Model], tmp_path: Path
) -> None:
    model = make_model()
    run = make_run(model, scales="0.5,1", flip=True, value_range="1,9", nodata=7, batch=3)
    assert run.predictor.options == ForwardOptions("cpu", "fp32", (0.5, 1.0), True, (1.0, 9.0))
    assert run.settings == pixel_settings(model, run.predictor.options, (7.0,))
    assert run.predictor.batch == 3
    assert run.work == tmp_path / "out" / ".geoseg"


def test_what_this_machine_cannot_do_is_refused(make_run: MakeRun) -> None:
    with pytest.raises(ConfigError, match="precision fp16 is for GPUs"):
        make_run(precision="fp16")
    with pytest.raises(ConfigError, match="device 'tpu' is unknown"):
        make_run(device="tpu")


@pytest.mark.usefixtures("five_threads")
@pytest.mark.parametrize(("workers", "threads"), [(0, 5), (2, 2)])
def test_a_block_that_runs_here_has_the_threads_that_a_workers_has(
    make_run: MakeRun, workers: int, threads: int
) -> None:
    with make_run(workers=workers).open_slots(lambda _: None, workers=False) as slots:
        seen = slots.submit("forward", Task(lambda _: torch.get_num_threads(), ())).result()
    assert (seen, torch.get_num_threads()) == (threads, 5)


class Freezing:
    """Slots whose task is run only once they have been looked after."""

    def capacity(self, lane: Lane) -> int:
        return 1

    def submit(self, lane: Lane, task: Task) -> Future[int]:
        self.future: Future[int] = Future()
        return self.future

    def check(self) -> None:
        self.future.set_result(7)


def test_workers_are_looked_after_while_a_window_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stories, "_WAIT_SECONDS", 0.01)
    assert run_module._result_of(Task(print, ()), Freezing()) == 7


def test_the_predictor_that_has_measured_a_window_runs_the_others(make_run: MakeRun) -> None:
    """Another backend would prepare the network twice, for minutes."""
    run = make_run()
    measured, planned = run.predictor, run.planned(Choice(threads=3))
    assert planned.predictor is measured
    assert planned.choice == Choice(threads=3)
    assert make_run().planned(Choice()).predictor is not measured
