"""A country of 10^12 pixels without a pixel: what planning, telling and resuming it take.

    one raster    10^6 x 10^6, in strips for 100 workers, and in 60,025 square blocks
    many sheets   10,000 of 10,000 x 10,000

Sources are sparse files; tasks end as soon as they are submitted; parts are files of one byte.
"""

from __future__ import annotations

import pickle
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import rasterio
from rasterio.transform import from_origin

import geoseg
from geoseg.inference import engine
from geoseg.inference.choice import Choice
from geoseg.inference.fitting import open_fitting
from geoseg.inference.options import PredictOptions
from geoseg.inference.plan import RasterPlan
from geoseg.inference.probe import Probe, peak_memory
from geoseg.inference.run import PredictRun
from geoseg.inference.sheet import RasterResult, tell_raster
from geoseg.inference.stories import Lane, Task, tell_stories
from geoseg.inference.survey import RasterJob, Survey, survey_raster
from geoseg.memory import trim_heap
from geoseg.prefetch import look_ahead
from geoseg.progress import Progress
from geoseg.raster import GDAL_CACHE_BYTES, Part, SeenSource, opened_once
from tests.benchmarks.apart import apart
from tests.benchmarks.models import write_model
from tests.benchmarks.scheduler import scheduler_growth

WORKERS = 100
_WINDOW_SECONDS = 0.1
"""That a window takes: of a small network on a processor, or of a large one on an old GPU."""
DOLLARS_A_PUT, DOLLARS_A_GET = 5e-6, 4e-7
"""Dollars a request of a bucket: an assumption, as `docs/scale.md` states it."""
_ANSWERS: dict[Callable[..., Any], Any] = {
    engine.predict_block: engine.BlockResult(0, 0.0, 0),
    engine.make_raster: np.zeros(256, np.int64),
}


@dataclass(slots=True)
class _Ended:
    """A task that has ended before anybody asks; in flight until its result is taken."""

    slots: _NoSlots
    task: Task

    def result(self) -> Any:
        self.slots.in_flight -= 1
        return _ANSWERS.get(self.task.function, 0.0)  # seconds

    def add_done_callback(self, call: Callable[[Any], Any]) -> None:
        call(self)


@dataclass(slots=True)
class _NoSlots:
    """The room of a cluster's workers, without the workers."""

    in_flight: int = 0
    most: int = 0
    largest: int = 0
    """Bytes of the largest pickled task."""
    counts: Counter[str] = field(default_factory=Counter)

    def capacity(self, lane: Lane) -> int:
        return 2 * WORKERS if lane == "forward" else WORKERS

    def submit(self, lane: Lane, task: Task) -> _Ended:
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        self.largest = max(self.largest, len(pickle.dumps(task)))
        self.counts[task.function.__name__] += 1
        return _Ended(self, task)

    def check(self) -> None:
        pass


def _sparse(path: Path, side: int) -> Path:
    profile = {"driver": "GTiff", "height": side, "width": side, "count": 3, "dtype": "uint8"}
    tile = 512 if side < 10**5 else 4096
    tiles = {"tiled": True, "blockxsize": tile, "blockysize": tile, "sparse_ok": True, "nodata": 0}
    place = {"crs": "EPSG:25832", "transform": from_origin(500_000, 5_400_000, 0.2, 0.2)}
    with rasterio.open(path, "w", **profile, **tiles, **place, bigtiff="yes"):
        pass
    return path


def _run(folder: Path, name: str, **options: Any) -> PredictRun:
    model = geoseg.load_model(write_model(folder / "pixel.safetensors", "pixel", None))
    chosen = PredictOptions.from_keywords(
        bands="1,2,3",
        device="cpu",
        workers=WORKERS,
        confidence=True,
        preview=False,
        encode="window",  # as networks with context run that cannot share their encoding
        **options,
    )
    return PredictRun.from_options(model, chosen, folder / name)


def _check(run: PredictRun, path: Path, number: int) -> RasterJob:
    """One of many sheets, which are all the same file, as `geoseg predict` opens it."""
    with opened_once(path):
        source, grid, _ = open_fitting(path, run.model.card, run.options)
        return RasterJob(source, run.out / f"sheet-{number:05d}", grid, SeenSource.at(path))


def _survey(folder: Path, name: str, side: int, sheets: int, **options: Any) -> dict[str, Any]:
    """Plan and tell so many sheets in this process; what that took."""
    run = _run(folder, name, **options)
    path = _sparse(folder / f"{side}.tif", side)
    base = peak_memory()
    started, cpu = time.perf_counter(), time.process_time()
    with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
        checks = look_ahead(partial(_check, run, path), range(sheets))
        jobs = []
        for check in checks:
            jobs.append(check.result())
            trim_heap()
    checked, checked_cpu = time.perf_counter() - started, time.process_time() - cpu
    started, cpu = time.perf_counter(), time.process_time()
    surveys = [each.result() for each in look_ahead(partial(survey_raster, run), jobs)]
    choice, probe = Choice(workers=WORKERS), Probe(_WINDOW_SECONDS, 0)
    windows = sum(survey.forwards for survey in surveys)
    surveys = [survey.cut(choice, probe, run.options.block, windows) for survey in surveys]
    plan = RasterPlan.total([survey.plan(choice) for survey in surveys])
    planned, planned_cpu = time.perf_counter() - started, time.process_time() - cpu
    slots = _NoSlots()
    started = time.perf_counter()
    tell_stories(
        (tell_raster(run.facts, each, Progress(), RasterResult()) for each in surveys), slots
    )
    return {
        "plan": plan,
        "checked": checked,
        "checked_cpu": checked_cpu,
        "seconds": planned,
        "cpu": planned_cpu,
        "telling": time.perf_counter() - started,
        "memory": peak_memory(),
        "more": peak_memory() - base,
        "slots": slots,
        "bands": sum(len(block.band_rows) for each in surveys for block in each.blocks),
        "names": _names(surveys[-1]),
        "outputs": sum(len(each.outputs) for each in surveys),
    }


def _names(survey: Survey) -> str:
    """The last part of a raster, and the list of its block."""
    block = survey.blocks[-1]
    last, number = block.band_rows[-1], len(survey.blocks) - 1
    return survey.folder.part(number, last, block.band(last), "classes").path.name


def _report(name: str, sheets: int, found: dict[str, Any], kinds: int) -> None:
    plan, slots = found["plan"], found["slots"]
    bands, parts = found["bands"], kinds * found["bands"]
    print(
        f"{name}: {plan.blocks} blocks, {plan.forwards} forwards at most "
        f"({plan.forwards / plan.windows:.3f} a window), {parts} parts, the last {found['names']}\n"
        f"  checked in {found['checked']:.1f} s (CPU {found['checked_cpu']:.1f}), "
        f"planned in {found['seconds']:.1f} s (CPU {found['cpu']:.1f}), told in "
        f"{found['telling']:.1f} s; client {found['memory'] / 2**20:.0f} MiB, of which this "
        f"{found['more'] / 2**20:.0f}\n"
        f"  {sum(slots.counts.values())} tasks {dict(slots.counts)}; at most {slots.most} in "
        f"flight, {slots.most / WORKERS:.2f} a worker; the largest {slots.largest} bytes",
        flush=True,
    )
    # Before a band is written, the plan is looked at and the list read; the class raster and
    # polygons read classes, the first also their sizes, the confidence raster and polygons
    # confidence; each task that makes files reads the plan.
    joined = slots.counts["polygonize_area"] + slots.counts["join_areas"]
    files = slots.counts.total() - slots.counts["predict_block"]
    puts = parts + bands + sheets + joined + found["outputs"]
    gets = 3 * bands + 2 * parts + files + joined
    dollars = DOLLARS_A_PUT * puts + DOLLARS_A_GET * gets
    print(
        f"  in a bucket: {puts} PUT (parts, a list a band, plans, areas of polygons, outputs), "
        f"{gets} GET and HEAD, {parts + plan.blocks + sheets} objects to delete; "
        f"about ${dollars:.2f}",
        flush=True,
    )


def _resume(folder: Path, parts: int) -> dict[str, float]:
    """Survey so many finished parts, which are files of one byte."""
    run = _run(folder, "resume", block=4096)
    job = _check(run, _sparse(folder / "resume.tif", 275_000), 0)
    begun = survey_raster(run, job)
    begun.folder.write_plan(begun.blocks, begun.batch, "fp32")

    def write(part: Part, _: Any) -> int:
        Path(str(part.path)).write_bytes(b"1")
        return 1

    written, started = 0, time.perf_counter()
    with mock.patch("geoseg.inference.parts.write_part", write):
        for number, block in enumerate(begun.blocks):
            for lattice_row, area in block.bands():
                begun.folder.write(number, lattice_row, mock.Mock(area=area))
                written += len(begun.folder.kinds)
            if written >= parts:
                break
    listing = time.perf_counter() - started
    started, cpu = time.perf_counter(), time.process_time()
    survey = survey_raster(run, job)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    left = sum(map(len, survey.missing_rows)) * len(survey.folder.kinds)
    bands = sum(len(block.band_rows) for block in survey.blocks)
    assert left == bands * len(survey.folder.kinds) - written
    return {"parts": written, "listing": listing, "seconds": seconds, "cpu": cpu}


def country(folder: Path) -> None:
    """10^12 pixels, simulated: plan, client, tasks, parts, requests, resume, scheduler."""
    million = 10**6
    found = apart(_survey, folder, "strips", million, 1)
    _report("one raster, strips for 100 workers", 1, found, 2)
    found = apart(_survey, folder, "blocks", million, 1, block=4096)
    _report("one raster, blocks of 4,096", 1, found, 2)
    found = apart(_survey, folder, "sheets", 10_000, 10_000)
    _report("10,000 sheets", 10_000, found, 2)
    resumed = apart(_resume, folder, 100_000)
    print(
        f"resume of {resumed['parts']:.0f} parts: {1e3 * resumed['seconds'] / resumed['parts']:.3f}"
        f" ms a part (CPU {1e3 * resumed['cpu'] / resumed['parts']:.3f}); with their lists they "
        f"were written in {1e3 * resumed['listing'] / resumed['parts']:.2f} ms each",
        flush=True,
    )
    scheduler_growth(folder)
