"""Runs within their memory: what is chosen, and what is refused with the least that would do."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import geoseg
from geoseg.errors import ConfigError
from geoseg.inference import budget as budget_module
from geoseg.inference.agreement import Agreement, Cluster, WorkerFacts
from geoseg.inference.budget import Budget, Fitted, fit_memory
from geoseg.inference.peak import device_peak_of, peak_of
from geoseg.inference.probe import Probe
from geoseg.inference.run import PredictRun
from geoseg.inference.survey import survey_raster
from geoseg.memory import parse_size

BASE = 2**29
PROBE = Probe(0.01, BASE, held_bytes=BASE)
MIB = 2**20


@pytest.fixture
def fit(make_run: Any, make_job: Any) -> Callable[..., Fitted]:
    """The choice for a raster of 100 x 3,000 pixels, in so much memory."""

    def choose(size: int, **options: Any) -> Fitted:
        run = make_run(window=16, overlap=4, **options)
        survey = survey_raster(run, make_job(run, height=100, width=3000))
        return fit_memory([survey], run, PROBE, Budget(size))

    return choose


def test_enough_memory_changes_nothing_and_less_makes_blocks_narrower(
    fit: Callable[..., Fitted],
) -> None:
    free = fit(2**40)
    assert (free.choice.widest, free.choice.area, free.choice.beside) == (None, None, True)
    assert free.choice == free.first
    assert len(free.surveys[0].blocks) == 1
    most = peak_of(free.plan, PROBE, replace(free.choice, begun=False))
    widths = []
    for size in range(most - MIB, most - 3 * MIB, -MIB // 4):
        try:
            fitted = fit(size)
        except ConfigError:
            break
        assert peak_of(fitted.plan, PROBE, fitted.choice) <= size
        assert fitted.plan.forwards >= free.plan.forwards
        widths.append(max(block.area.width for block in fitted.surveys[0].blocks))
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < widths[0]


def test_files_that_take_little_are_made_after_the_network_in_less_memory(
    make_run: Any, make_job: Any
) -> None:
    run = make_run(window=16, overlap=4)
    survey = survey_raster(run, make_job(run, height=100, width=3000))
    quick, slow = (
        fit_memory([survey], run, replace(PROBE, seconds=seconds), Budget(2**40))
        for seconds in (0.001, 1.0)
    )
    assert (quick.choice.begun, slow.choice.begun) == (True, False)
    assert slow.memory < quick.memory
    assert slow.choice.lines(2**40, slow.first) == [], "nothing was given up for memory"


def test_a_run_is_refused_with_a_size_that_does(fit: Callable[..., Fitted]) -> None:
    with pytest.raises(ConfigError) as refused:
        fit(BASE)
    advised = re.search(r"give --max-memory (\S+), or a smaller --window", str(refused.value))
    assert advised is not None
    size = parse_size(advised[1])
    assert size is not None
    fitted = fit(size)
    assert peak_of(fitted.plan, PROBE, fitted.choice) <= size
    with pytest.raises(ConfigError, match="or --block auto"):
        fit(BASE, block=50)


def test_fewer_workers_are_started_where_memory_lacks_and_the_pixels_stay(
    fit: Callable[..., Fitted],
) -> None:
    assert fit(2**40, workers=3).choice.workers == 3
    fitted = fit(4 * BASE + 400 * MIB, workers=3)
    assert fitted.choice.workers in (1, 2)
    (line,) = fitted.choice.lines(fitted.memory, fitted.first)
    assert f"{fitted.choice.workers} of 3 workers" in line
    with pytest.raises(ConfigError, match=r"give --max-memory .*, or leave out --workers"):
        fit(2 * BASE, workers=3)
    with pytest.raises(ConfigError, match="or a smaller --window"):
        fit(BASE, workers=3)


def test_of_very_many_workers_only_those_that_memory_may_hold_are_tried(
    fit: Callable[..., Fitted], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []
    ways = budget_module._ways
    monkeypatch.setattr(budget_module, "_ways", lambda *args: tried.append(args[3]) or ways(*args))
    fitted = fit(10 * BASE, workers=100_000)
    assert tried[0] == 10
    assert fitted.choice.workers == tried[-1]
    assert fitted.memory <= 10 * BASE < fitted.memory + fitted.memory // fitted.choice.workers


def test_told_nothing_a_run_takes_a_share_of_what_is_free(
    make_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget_module, "free_memory", lambda: 900)
    monkeypatch.setattr(budget_module, "held_memory", lambda: 100)
    budget = Budget.of(make_run())
    assert (budget.bytes, budget.given) == (600, False)
    assert Budget.of(make_run(max_memory="1 GiB")) == Budget(2**30)
    assert "60% of what is free is 1MiB; give --max-memory 8MiB" in str(
        budget.refusal(7 * MIB, choosable=True)
    )


def worker(host: str, limit: int | None, free: int) -> WorkerFacts:
    return WorkerFacts("tcp://w", host, 4, "2", "cpu", "AVX2", "fp32", None, False, limit, free)


def test_of_a_cluster_the_least_worker_decides(make_run: Any) -> None:
    """Dask pauses a worker at 80 % of its limit; those without one share what their host has."""
    agreement = Agreement("cpu", "fp32", 1, ("kind",))
    workers = (worker("a", 4000, 9000), worker("b", None, 9000), worker("b", None, 9000))
    run: PredictRun = make_run()
    of = Budget.of(replace(run, cluster=Cluster(None, "run", workers, agreement)))
    assert (of.bytes, of.workers, of.of_all) == (2700, 3, 8100)
    with_less = (worker("a", 1000, 9000), *workers[1:])
    of = Budget.of(replace(run, cluster=Cluster(None, "run", with_less, agreement)))
    assert of.bytes == 750
    sharing = (worker("a", 4000, 4000), worker("a", 4000, 4000))  # limits beyond what is there
    of_sharing = Budget.of(replace(run, cluster=Cluster(None, "run", sharing, agreement)))
    assert of_sharing.bytes == 1500
    assert "start workers with --memory-limit 14MiB" in str(of.refusal(10 * MIB, choosable=True))


def test_the_whole_run_obeys_and_its_report_says_how(
    make_raster: Callable[..., Path], model_file: Path, tmp_path: Path
) -> None:
    image = make_raster(height=40, width=60)
    with pytest.raises(ConfigError, match=r"this run needs at least .* --max-memory is 100MiB"):
        geoseg.predict(image, model_file, out=tmp_path / "a", max_memory="100MiB")
    assert not list((tmp_path / "a").glob("*.tif"))
    report = geoseg.predict(
        image, model_file, out=tmp_path / "b", max_memory="64 GiB", dry_run=True
    )
    plan = report.data["plan"]
    assert plan["max_memory_bytes"] == 64 * 2**30
    assert plan["max_memory_given"]
    assert plan["choice"] == {
        "threads": plan["choice"]["threads"],
        "workers": 0,
        "beside": True,
        "begun": True,
        "widest": None,
        "area": None,
    }


def test_blocks_hold_half_of_a_gpu_at_most_or_the_run_is_refused(
    make_run: Any, make_job: Any
) -> None:
    run = make_run(window=16, overlap=4)
    survey = survey_raster(run, make_job(run, height=100, width=3000))

    def fit_gpu(size: int) -> Fitted:
        return fit_memory([survey], run, PROBE, Budget(2**40, gpu=size))

    free = fit_gpu(2**40)
    held = device_peak_of(free.plan, PROBE)
    assert free.choice.widest is None
    narrower = fit_gpu(held)
    assert narrower.choice.widest is not None
    assert 2 * device_peak_of(narrower.plan, PROBE) <= held
    with pytest.raises(ConfigError, match=r"of a GPU's memory .*; give --max-gpu-memory 1MiB"):
        fit_gpu(100)


@pytest.mark.parametrize(
    ("given", "workers", "gpus", "each"),
    [
        (1000, 0, (), 1000),
        (1000, 2, (), 500),
        (1000, 4, ("0", "1"), 500),
        (1000, 2, ("0", "1"), 1000),
        (None, 0, (), 540),
        (None, 2, ("0", "1"), None),
    ],
)
def test_processes_on_a_gpu_share_what_is_given_or_free(
    make_run: Any,
    monkeypatch: pytest.MonkeyPatch,
    given: int | None,
    workers: int,
    gpus: tuple[str, ...],
    each: int | None,
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (600, 8000))
    run = make_run(workers=workers)
    assert run.gpu_memory is None, "it runs on a CPU"
    on_gpu = replace(
        run,
        options=replace(run.options, device="cuda", max_gpu_memory=given),
        forward=replace(run.forward, device="cuda"),
        gpus=gpus,
    )
    assert on_gpu.gpu_memory == each


def test_merged_polygons_are_planned_as_of_one_raster(make_run: Any, make_job: Any) -> None:
    run = make_run(window=16, overlap=4, merge=True, vectors=("gpkg", "fgb"), min_area="9px")
    survey = survey_raster(run, make_job(run, height=100, width=3000))
    apart = fit_memory([survey], run, PROBE, Budget(2**40)).plan
    merged = fit_memory([survey], run, PROBE, Budget(2**40), [survey] * 3).plan
    assert (apart.polygonized, apart.written) == (0, 0)
    pixels = 3 * 100 * 3000
    assert (merged.polygonized, merged.written) == (pixels, pixels)
    assert (merged.regions, merged.cleaned) == (pixels * 100, pixels * 400)
    assert merged.memory == apart.memory
