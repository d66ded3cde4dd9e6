"""Polygons as a tree of tasks: the files are those of the raster at once."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyogrio
import pytest

from geoseg.classes import ClassScheme
from geoseg.errors import SourceError
from geoseg.inference import areas as areas_module
from geoseg.inference.band import Band
from geoseg.inference.engine import Process, Sheet
from geoseg.inference.outputs import Output
from geoseg.inference.parts import PartFolder
from geoseg.inference.polygons import (
    join_areas,
    make_polygons,
    polygon_stages,
    polygonize_area,
    polygonize_parts,
)
from geoseg.inference.stories import Task
from geoseg.raster import open_raster
from geoseg.tiling import TileGrid

CLASSES = ClassScheme.from_names(["road", "roof", "grass", "tree"])
GRID = TileGrid(64, 80, 16, 4)
BLOCKS = GRID.blocks(40)
PROCESS = Process(None, CLASSES, 2, lambda _: None)  # type: ignore[arg-type]  # no network


@pytest.fixture
def sheet(make_raster: Callable[..., Path], tmp_path: Path) -> Sheet:
    """A raster of 64 x 80 whose parts hold regions of all sizes, some over all of it."""
    folder = PartFolder(tmp_path / "parts", "0123", open_raster(make_raster()), 4, True, False)
    folder.path.mkdir()
    rng = np.random.default_rng(1)
    labels = np.kron(rng.choice([0, 1, 2, 255], (16, 20)), np.ones((4, 4), int))
    labels[rng.random(labels.shape) < 0.1] = 3
    labels[::9] = labels[:, ::13] = 1
    labels = labels.astype(np.uint8)
    confidence = rng.integers(0, 256, labels.shape).astype(np.uint8)
    for number, block in enumerate(BLOCKS):
        for lattice_row, area in block.bands():
            band = Band(area, labels[area.slices()], confidence[area.slices()], None)
            folder.write(number, lattice_row, band)
    folder.write_plan(BLOCKS, None, "fp32")
    return Sheet(folder, GRID, 0.0, None)


def rows(path: Path) -> list[tuple[object, ...]]:
    """All of a polygon file, in its order."""
    _, _, geometry, fields = pyogrio.raw.read(path)
    return list(zip(*[geometry, *fields], strict=True))


def run(task: Task, process: Process = PROCESS) -> None:
    task.function(process, *task.arguments)


def outputs_in(folder: Path) -> list[Output]:
    return [Output(kind, folder / f"scene.{kind}", f"key of {kind}") for kind in ("gpkg", "shp")]


@pytest.mark.parametrize("pixels", [1, 500, 1000, 2500])
def test_files_are_the_same_however_many_areas_there_are(
    sheet: Sheet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pixels: int
) -> None:
    expected, found = outputs_in(tmp_path / "at once"), outputs_in(tmp_path / "tree")
    make_polygons(PROCESS, sheet, expected)
    monkeypatch.setattr(areas_module, "AREA_PIXELS", pixels)
    stages = polygon_stages(sheet, BLOCKS, found)
    assert len(stages) >= 3
    for stage in stages:
        for task in [*reversed(stage), stage[0]]:  # in any order, and one of them twice
            run(task)
    assert all(output.is_current() for output in found)
    for one, other in zip(expected, found, strict=True):
        assert rows(other.path) == rows(one.path)
    assert len(rows(found[0].path)) > 300


def test_a_raster_of_one_area_is_one_task(sheet: Sheet, tmp_path: Path) -> None:
    outputs = outputs_in(tmp_path)
    assert polygon_stages(sheet, BLOCKS, outputs) == [
        [Task(make_polygons, (sheet, tuple(outputs)))]
    ]
    assert polygon_stages(sheet, BLOCKS, []) == []


def test_a_task_of_a_huge_raster_is_small(sheet: Sheet, tmp_path: Path) -> None:
    grid = TileGrid(10**6, 10**6, 512, 128)
    source = dataclasses.replace(sheet.folder.source, height=10**6, width=10**6)
    path = tmp_path / "a folder of sheets" / f"sheet 17-{'0' * 16}"
    folder = dataclasses.replace(sheet.folder, path=path, source=source)
    huge = dataclasses.replace(sheet, folder=folder, grid=grid)
    for stage in polygon_stages(huge, grid.blocks(classes=6), outputs_in(path)):
        assert len(pickle.dumps(stage[-1])) <= 2048


def test_only_the_pieces_at_borders_travel(
    sheet: Sheet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(areas_module, "AREA_PIXELS", 2500)
    leaves, (join,), _ = polygon_stages(sheet, BLOCKS, outputs_in(tmp_path))
    for task in leaves:
        run(task)
    for path in sheet.folder.path.glob("polygons-0-*-features.zip"):
        path.unlink()
    run(join)


def test_what_another_task_left_damaged_is_refused(
    sheet: Sheet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(areas_module, "AREA_PIXELS", 2500)
    leaves, (join,), (file, _) = polygon_stages(sheet, BLOCKS, outputs_in(tmp_path))
    for task in leaves[1:]:
        run(task)
    with pytest.raises(SourceError, match=r"polygons-0-00000-pieces.* missing or damaged"):
        run(join)
    run(leaves[0])
    run(join)
    features = sheet.folder.path / "polygons-0-00001-features.zip"
    features.write_bytes(features.read_bytes()[:-1])
    with pytest.raises(SourceError, match=r"polygons-0-00001-features.* run the command again"):
        run(file)
    assert not list(tmp_path.glob("*.gpkg"))


def test_tasks_end_when_the_run_is_stopped(
    sheet: Sheet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(areas_module, "AREA_PIXELS", 2500)
    leaves, (join,), (file, _) = polygon_stages(sheet, BLOCKS, outputs_in(tmp_path))
    stopped = dataclasses.replace(PROCESS, stopped=lambda: True)
    with pytest.raises(KeyboardInterrupt):
        run(leaves[0], stopped)
    for task in [*leaves, join]:
        run(task)
    with pytest.raises(KeyboardInterrupt):
        run(file, stopped)
    assert not list(tmp_path.glob("*.gpkg"))


def test_each_task_says_what_it_took(
    sheet: Sheet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(areas_module, "AREA_PIXELS", 2500)
    leaves, *_ = polygon_stages(sheet, BLOCKS, outputs_in(tmp_path))
    took = [polygonize_area(PROCESS, sheet, index) for index in range(len(leaves))]
    took.append(join_areas(PROCESS, sheet, 1, 0))
    assert all(0 < seconds < 60 for seconds in took)


@pytest.mark.parametrize("threads", [1, 2, 3, 50])
def test_polygons_come_part_by_part_in_their_order(sheet: Sheet, threads: int) -> None:
    folder = sheet.folder
    pairs = list(
        zip(folder.parts(BLOCKS, "classes"), folder.parts(BLOCKS, "confidence"), strict=True)
    )
    pieces = list(polygonize_parts(pairs, threads))
    assert [(piece.row, piece.col) for piece in pieces] == [
        (part.row, part.col) for part, _ in pairs
    ]
