"""Blocks as tasks: each writes the parts that are missing and nothing else, here or on workers."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import geoseg
from geoseg.errors import OutputError, SourceError
from geoseg.inference import engine
from geoseg.inference import parts as parts_module
from geoseg.inference.cluster import local_cluster
from geoseg.inference.engine import BlockTask, run_block
from geoseg.inference.forward_options import ForwardOptions
from geoseg.inference.parts import PartFolder
from geoseg.inference.predictor import Predictor
from geoseg.inference.stitching import Band
from geoseg.inference.stream import stream_block
from geoseg.models import Model
from geoseg.raster import open_raster, read_part
from geoseg.tiling import Block, TileGrid

GRID = TileGrid(64, 80, 32, 8)
BLOCKS = GRID.blocks(40)
SMALL_GRID = TileGrid(64, 80, 16, 4)
(WHOLE_BLOCK,) = SMALL_GRID.blocks()
WHOLE_ROWS = tuple(row for row, _ in WHOLE_BLOCK.bands())


@pytest.fixture
def folder(make_raster: Callable[..., Path], tmp_path: Path) -> PartFolder:
    path = tmp_path / "parts"
    path.mkdir()
    return PartFolder(
        path, "0123", open_raster(make_raster()), 4, confidence=True, probabilities=False
    )


def tasks_of(folder: PartFolder) -> list[BlockTask]:
    return [
        BlockTask(number, block, tuple(row for row, _ in block.bands()), folder, 0.0)
        for number, block in enumerate(BLOCKS)
    ]


def labels_in(folder: PartFolder) -> np.ndarray:
    labels = np.full((64, 80), 99, np.uint8)
    for part in folder.parts(BLOCKS, "classes"):
        rows = slice(part.row, part.row + part.height)
        labels[rows, part.col : part.col + part.width] = read_part(part)[0]
    return labels


def windows(block: Block) -> int:
    return len(block.lattice_rows) * len(block.lattice_cols)


@pytest.fixture
def whole_folder(make_raster: Callable[..., Path], tmp_path: Path) -> PartFolder:
    path = tmp_path / "parts"
    path.mkdir()
    return PartFolder(
        path, "0123", open_raster(make_raster()), 4, confidence=True, probabilities=True
    )


@pytest.fixture
def predictor(make_model: Callable[..., Model]) -> Predictor:
    return Predictor(make_model(), ForwardOptions())


def run_quietly(task: BlockTask, predictor: Predictor, **options: Any) -> Any:
    quiet: dict[str, Any] = {"stopped": lambda: False, "on_window": lambda count: None}
    return run_block(task, predictor, **{**quiet, **options})


def test_the_missing_rows_are_written_as_the_whole_block_gives_them(
    whole_folder: PartFolder, predictor: Predictor, make_model: Callable[..., Model]
) -> None:
    passed: list[int] = []
    predictor.forwards, predictor.seconds = 1000, 1000.0
    task = BlockTask(7, WHOLE_BLOCK, (1, 4), whole_folder, min_confidence=0.5)
    result = run_quietly(task, predictor, on_window=passed.append)
    whole = dict(
        stream_block(
            WHOLE_BLOCK,
            whole_folder.source,
            Predictor(make_model(), ForwardOptions()),
            min_confidence=0.5,
            probabilities=True,
        )
    )
    names = {path.name for path in whole_folder.path.iterdir()}
    assert names == {f"0007-{row:05d}-{kind}.tif" for row in (1, 4) for kind in whole_folder.kinds}
    for row in (1, 4):
        band = whole[row]
        for kind, pixels in (
            ("classes", band.labels[None]),
            ("confidence", band.confidence[None]),
            ("probabilities", band.probabilities),
        ):
            found = read_part(whole_folder.part(7, row, band.area, kind))
            np.testing.assert_array_equal(found, pixels)
    # Row 1 is seen by lattice rows 0 and 1, the last but one band by 3 and 4.
    assert result.forwards == 4 * len(SMALL_GRID.col_starts) == sum(passed)
    assert 0.0 < result.forward_seconds < 100.0
    assert result.peak_memory > 2**20


def test_a_part_that_cannot_be_written_ends_the_block_with_its_error(
    whole_folder: PartFolder, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def full(part: Any, data: Any) -> None:
        tried.append(part.path.name)
        raise OutputError("the disk is full")

    monkeypatch.setattr(parts_module, "write_part", full)
    with pytest.raises(OutputError, match="the disk is full"):
        run_quietly(BlockTask(0, WHOLE_BLOCK, WHOLE_ROWS, whole_folder, 0.0), predictor)
    assert len(tried) == 1, "nothing more is written"
    assert predictor.forwards < len(SMALL_GRID), "nor run to the end"
    names = [thread.name for thread in threading.enumerate()]
    assert not any(name.startswith("geoseg-writer") for name in names)


def test_the_last_parts_error_is_not_lost(
    whole_folder: PartFolder, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = parts_module.write_part

    def full_at_last(part: Any, data: Any) -> None:
        if part.path.name == f"0000-{WHOLE_ROWS[-1]:05d}-classes.tif":
            raise OutputError("the disk is full")
        write(part, data)

    monkeypatch.setattr(parts_module, "write_part", full_at_last)
    with pytest.raises(OutputError, match="the disk is full"):
        run_quietly(BlockTask(0, WHOLE_BLOCK, WHOLE_ROWS, whole_folder, 0.0), predictor)


def test_a_block_that_is_stopped_leaves_whole_parts(
    whole_folder: PartFolder, predictor: Predictor
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_quietly(
            BlockTask(0, WHOLE_BLOCK, WHOLE_ROWS, whole_folder, 0.0),
            predictor,
            stopped=lambda: predictor.forwards >= 3 * len(SMALL_GRID.col_starts),
        )
    assert whole_folder.missing_rows(0, WHOLE_BLOCK) == WHOLE_ROWS[3:]
    run_quietly(BlockTask(0, WHOLE_BLOCK, WHOLE_ROWS[3:], whole_folder, 0.0), predictor)
    assert whole_folder.missing_rows(0, WHOLE_BLOCK) == ()


def test_blocks_run_here_give_their_results_in_order(folder: PartFolder, model_file: Path) -> None:
    passed: list[int] = []
    predictor = Predictor(geoseg.load_model(model_file), ForwardOptions())
    results = engine.run_here(tasks_of(folder), predictor, passed.append)
    assert [result.forwards for result in results] == [windows(block) for block in BLOCKS]
    assert sum(passed) == sum(map(windows, BLOCKS)) == predictor.forwards
    assert engine.run_here([], predictor, passed.append) == []


def test_blocks_run_here_one_at_a_time_and_are_stopped_when_the_run_ends(
    folder: PartFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, stops = [0], []

    def run_block(task: BlockTask, predictor: Any, *, stopped: Any, on_window: Any) -> int:
        running[0] += 1
        time.sleep(0.05)
        stops.append(stopped)
        assert running[0] == 1
        assert not stopped()
        running[0] -= 1
        return task.number

    monkeypatch.setattr(engine, "run_block", run_block)
    tasks = tasks_of(folder)
    assert engine.run_here(tasks, Any, lambda count: None) == list(range(len(tasks)))
    assert all(stopped() for stopped in stops)


def test_a_block_that_fails_here_raises(folder: PartFolder, model_file: Path) -> None:
    folder.source.path.unlink()
    predictor = Predictor(geoseg.load_model(model_file), ForwardOptions())
    with pytest.raises(SourceError, match=r"scene\.tif"):
        engine.run_here(tasks_of(folder), predictor, lambda count: None)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with local_cluster(2) as client:
        yield client


def facts() -> tuple[int, Any]:
    return os.getpid(), signal.getsignal(signal.SIGINT)


def test_workers_are_processes_of_one_task_each_that_leave_ctrl_c_to_this_one(client: Any) -> None:
    found = client.run(facts)
    assert len({process for process, _ in found.values()} | {os.getpid()}) == 3
    assert all(handler == signal.SIG_IGN for _, handler in found.values())
    assert set(client.nthreads().values()) == {1}
    info = client.scheduler_info()["workers"].values()
    assert [worker["memory_limit"] for worker in info] == [0, 0], "Dask is to kill none of them"


def test_blocks_run_on_workers_give_the_same_labels(
    folder: PartFolder, model_file: Path, client: Any, tmp_path: Path
) -> None:
    here = PartFolder(
        tmp_path / "here", "0123", folder.source, 4, confidence=True, probabilities=False
    )
    here.path.mkdir()
    predictor = Predictor(geoseg.load_model(model_file), ForwardOptions(flip=True), 2)
    engine.run_here(tasks_of(here), predictor, lambda count: None)
    passed: list[int] = []
    results = engine.run_on_workers(
        tasks_of(folder),
        client,
        model_file,
        ForwardOptions(flip=True),
        batch=2,
        threads=3,
        on_window=passed.append,
    )
    np.testing.assert_array_equal(labels_in(folder), labels_in(here))
    assert sum(result.forwards for result in results) == sum(map(windows, BLOCKS))
    assert set(client.run(torch.get_num_threads).values()) <= {1, 3}
    assert 3 in client.run(torch.get_num_threads).values()
    assert all(0 < count <= 2 for count in passed)


def test_a_block_that_fails_on_a_worker_raises_and_stops_the_others(
    folder: PartFolder, model_file: Path, client: Any
) -> None:
    folder.source.path.unlink()
    with pytest.raises(SourceError, match=r"scene\.tif"):
        engine.run_on_workers(
            tasks_of(folder),
            client,
            model_file,
            ForwardOptions(),
            batch=1,
            threads=1,
            on_window=lambda count: None,
        )
    stopped = client.run(lambda: len(engine._stopped_runs))
    assert all(stopped.values())


def test_a_run_that_was_stopped_ends_at_its_next_forward_without_an_error(
    folder: PartFolder, model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Worker:
        def log_event(self, topic: str, count: int) -> None:
            raise AssertionError("a window was run")

    monkeypatch.setattr("distributed.get_worker", Worker)
    monkeypatch.setattr(engine, "_stopped_runs", set())
    engine._stop("this run")
    run = {"model": model_file, "forward": ForwardOptions(), "batch": 1, "threads": 1}
    assert engine._run_remote(tasks_of(folder)[0], run="this run", **run) is None
    with pytest.raises(AssertionError, match="a window was run"):
        engine._run_remote(tasks_of(folder)[0], run="another", **run)


def test_a_worker_loads_the_model_once(model_file: Path) -> None:
    first = engine._load_predictor(model_file, ForwardOptions(), 1)
    assert engine._load_predictor(model_file, ForwardOptions(), 1) is first
    assert engine._load_predictor(model_file, ForwardOptions(), 2).batch == 2


@pytest.mark.parametrize("threads", [1, 2, 3, 50])
def test_polygons_come_part_by_part_from_top_to_bottom(folder: PartFolder, threads: int) -> None:
    for number, block in enumerate(BLOCKS):
        for lattice_row, area in block.bands():
            shape = (area.height, area.width)
            pixels = np.full(shape, number, np.uint8), np.full(shape, 51 * number, np.uint8)
            folder.write(number, lattice_row, Band(area, *pixels, None))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        pieces = list(engine.polygonize_parts(folder, BLOCKS))  # of one class each
    finally:
        torch.set_num_threads(before)
    places = [(piece.row, piece.col) for piece in pieces]
    assert places == sorted((part.row, part.col) for part in folder.parts(BLOCKS, "classes"))
    for piece in pieces:
        np.testing.assert_array_equal(piece.confidence_sum, 51 * piece.class_id * piece.pixels)
    assert {int(piece.class_id[0]) for piece in pieces} == {0, 1, 2, 3}
