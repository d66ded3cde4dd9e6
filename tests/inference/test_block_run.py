"""A block as a task: it writes the parts that are missing, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geoseg.errors import OutputError
from geoseg.inference import parts as parts_module
from geoseg.inference.block_run import BlockTask, run_block
from geoseg.inference.parts import PartFolder
from geoseg.inference.predictor import ForwardOptions, Predictor
from geoseg.inference.stream import stream_block
from geoseg.models import Model
from geoseg.raster import open_raster, read_part
from geoseg.tiling import TileGrid

GRID = TileGrid(64, 80, 16, 4)
(BLOCK,) = GRID.blocks()
ROWS = tuple(row for row, _ in BLOCK.bands())


@pytest.fixture
def folder(make_raster: Callable[..., Path], tmp_path: Path) -> PartFolder:
    path = tmp_path / "parts"
    path.mkdir()
    return PartFolder(path, open_raster(make_raster()), 4, confidence=True, probabilities=True)


@pytest.fixture
def predictor(make_model: Callable[..., Model]) -> Predictor:
    return Predictor(make_model(), ForwardOptions())


def run(task: BlockTask, predictor: Predictor, **options: Any) -> Any:
    quiet: dict[str, Any] = {"stopped": lambda: False, "on_window": lambda count: None}
    return run_block(task, predictor, **{**quiet, **options})


def test_the_missing_rows_are_written_as_the_whole_block_gives_them(
    folder: PartFolder, predictor: Predictor, make_model: Callable[..., Model]
) -> None:
    passed: list[int] = []
    predictor.forwards, predictor.seconds = 1000, 1000.0
    task = BlockTask(7, BLOCK, (1, 4), folder, min_confidence=0.5)
    result = run(task, predictor, on_window=passed.append)
    whole = dict(
        stream_block(
            BLOCK,
            folder.source,
            Predictor(make_model(), ForwardOptions()),
            min_confidence=0.5,
            probabilities=True,
        )
    )
    names = {path.name for path in folder.path.iterdir()}
    assert names == {f"0007-{row:05d}-{kind}.tif" for row in (1, 4) for kind in folder.kinds}
    for row in (1, 4):
        band = whole[row]
        for kind, pixels in (
            ("classes", band.labels[None]),
            ("confidence", band.confidence[None]),
            ("probabilities", band.probabilities),
        ):
            found = read_part(folder.part(7, row, band.area, kind))
            np.testing.assert_array_equal(found, pixels)
    # Row 1 is seen by lattice rows 0 and 1, the last but one band by 3 and 4.
    assert result.forwards == 4 * len(GRID.col_starts) == sum(passed)
    assert 0.0 < result.forward_seconds < 100.0
    assert result.peak_memory > 2**20


def test_a_part_that_cannot_be_written_ends_the_block_with_its_error(
    folder: PartFolder, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def full(part: Any, data: Any) -> None:
        tried.append(part.path.name)
        raise OutputError("the disk is full")

    monkeypatch.setattr(parts_module, "write_part", full)
    with pytest.raises(OutputError, match="the disk is full"):
        run(BlockTask(0, BLOCK, ROWS, folder, 0.0), predictor)
    assert len(tried) == 1, "nothing more is written"
    assert predictor.forwards < len(GRID), "nor run to the end"
    assert "geoseg-writer" not in [thread.name for thread in threading.enumerate()]


def test_the_last_parts_error_is_not_lost(
    folder: PartFolder, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = parts_module.write_part

    def full_at_last(part: Any, data: Any) -> None:
        if part.path.name == f"0000-{ROWS[-1]:05d}-classes.tif":
            raise OutputError("the disk is full")
        write(part, data)

    monkeypatch.setattr(parts_module, "write_part", full_at_last)
    with pytest.raises(OutputError, match="the disk is full"):
        run(BlockTask(0, BLOCK, ROWS, folder, 0.0), predictor)


def test_a_block_that_is_stopped_leaves_whole_parts(
    folder: PartFolder, predictor: Predictor
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(
            BlockTask(0, BLOCK, ROWS, folder, 0.0),
            predictor,
            stopped=lambda: predictor.forwards >= 3 * len(GRID.col_starts),
        )
    assert folder.missing_rows(0, BLOCK) == ROWS[3:]
    run(BlockTask(0, BLOCK, ROWS[3:], folder, 0.0), predictor)
    assert folder.missing_rows(0, BLOCK) == ()
