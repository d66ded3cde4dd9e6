"""The tasks of a raster: small when pickled; each makes what is missing and nothing else."""

from __future__ import annotations

import dataclasses
import pickle
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.classes import ClassScheme
from geoseg.errors import OutputError, SourceError
from geoseg.inference import parts as parts_module
from geoseg.inference.decision import Asked
from geoseg.inference.engine import (
    BlockResult,
    Process,
    Sheet,
    pack_rows,
    predict_block,
    unpack_rows,
)
from geoseg.inference.forward_options import ForwardOptions
from geoseg.inference.parts import PartFolder
from geoseg.inference.predictor import Predictor
from geoseg.inference.stories import Task
from geoseg.inference.stream import stream_block
from geoseg.models import Model
from geoseg.raster import open_raster, read_part
from geoseg.tiling import TileGrid

GRID = TileGrid(64, 80, 32, 8)
BLOCKS = GRID.blocks(40)
SMALL_GRID = TileGrid(64, 80, 16, 4)
(WHOLE_BLOCK,) = SMALL_GRID.blocks()
WHOLE_ROWS = tuple(row for row, _ in WHOLE_BLOCK.bands())


@pytest.fixture
def folder(make_raster: Callable[..., Path], tmp_path: Path) -> PartFolder:
    path = tmp_path / "parts"
    path.mkdir()
    folder = PartFolder(
        path, "0123", open_raster(make_raster()), 4, confidence=True, probabilities=False
    )
    folder.write_plan(BLOCKS, 1, "fp32")
    return folder


@pytest.fixture
def whole_folder(make_raster: Callable[..., Path], tmp_path: Path) -> PartFolder:
    path = tmp_path / "parts"
    path.mkdir()
    folder = PartFolder(
        path, "0123", open_raster(make_raster()), 4, confidence=True, probabilities=True
    )
    folder.write_plan(BLOCKS, 1, "fp32")
    return folder


@pytest.fixture
def predictor(make_model: Callable[..., Model]) -> Predictor:
    return Predictor(make_model(), ForwardOptions())


def run_block(
    folder: PartFolder,
    predictor: Predictor,
    rows: Sequence[int] = WHOLE_ROWS,
    *,
    number: int = 0,
    min_confidence: float = 0.0,
    **listening: Any,
) -> BlockResult:
    classes = ClassScheme.from_names(list("abcd"))
    process = Process(predictor, classes, 1, **{"on_window": lambda count: None, **listening})
    sheet = Sheet(folder, SMALL_GRID, min_confidence, batch=1)
    missing = pack_rows(rows, WHOLE_BLOCK)
    return predict_block(process, sheet, number, WHOLE_BLOCK.area, missing)


def test_the_missing_rows_are_written_as_the_whole_block_gives_them(
    whole_folder: PartFolder, predictor: Predictor, make_model: Callable[..., Model]
) -> None:
    passed: list[int] = []
    predictor.forwards = 1000
    result = run_block(
        whole_folder, predictor, (1, 4), number=7, min_confidence=0.5, on_window=passed.append
    )
    whole = dict(
        stream_block(
            WHOLE_BLOCK,
            whole_folder.source,
            Predictor(make_model(), ForwardOptions()),
            asked=Asked(probabilities=True, min_confidence=0.5),
        )
    )
    names = {path.name for path in whole_folder.path.iterdir()}
    parts = {f"0007-{row:05d}-{kind}.tif" for row in (1, 4) for kind in whole_folder.kinds}
    assert names == {*parts, "0007.json", "plan.json"}
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
        run_block(whole_folder, predictor)
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
        run_block(whole_folder, predictor)


def test_a_block_that_is_stopped_leaves_whole_parts(
    whole_folder: PartFolder, predictor: Predictor
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_block(
            whole_folder,
            predictor,
            stopped=lambda: predictor.forwards >= 3 * len(SMALL_GRID.col_starts),
        )
    assert whole_folder.missing_rows(0, WHOLE_BLOCK) == WHOLE_ROWS[3:]
    run_block(whole_folder, predictor, WHOLE_ROWS[3:])
    assert whole_folder.missing_rows(0, WHOLE_BLOCK) == ()


def test_one_block_runs_at_a_time_whatever_threads_a_process_has(
    whole_folder: PartFolder, predictor: Predictor
) -> None:
    running, most = [0], [0]
    one_lock = threading.Lock()

    def in_a_forward() -> bool:
        running[0] += 1
        most[0] = max(most[0], running[0])
        time.sleep(0.001)
        running[0] -= 1
        return False

    calls = [
        threading.Thread(
            target=run_block,
            args=(whole_folder, predictor),
            kwargs={"number": number, "stopped": in_a_forward, "forward": one_lock},
        )
        for number in range(3)
    ]
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    assert most == [1]
    assert len(list(whole_folder.path.glob("*.tif"))) == 3 * len(whole_folder.kinds) * len(
        WHOLE_ROWS
    )


@given(st.data())
def test_any_rows_of_a_block_come_back(data: st.DataObject) -> None:
    grid = TileGrid(data.draw(st.integers(1, 5000)), 40, 32, data.draw(st.integers(0, 31)))
    block = data.draw(st.sampled_from(grid.blocks(data.draw(st.integers(200, 3000)))))
    rows = sorted(data.draw(st.sets(st.sampled_from(block.band_rows))))
    assert unpack_rows(pack_rows(rows, block), block) == rows


def test_a_task_of_a_huge_raster_is_small(tmp_path: Path, make_raster: Callable[..., Path]) -> None:
    """2 kB at most, after all that is derived from the lattice is known too."""
    source = dataclasses.replace(
        open_raster(make_raster(crs="EPSG:25832")), height=10**6, width=10**6
    )
    grid = TileGrid(10**6, 10**6, 512, 128)
    block = grid.blocks()[7]
    rows = [row for row in block.band_rows if row % 2]
    folder = PartFolder(
        tmp_path / "a folder of sheets" / f"sheet 17-{'0' * 16}", "0" * 16, source, 6, True, True
    )
    arguments = (Sheet(folder, grid, 0.5, 4), 7, block.area, pack_rows(rows, block))
    assert len(pickle.dumps(Task(predict_block, arguments))) <= 2048


def test_a_block_whose_run_has_ended_leaves_nothing_behind(
    whole_folder: PartFolder, predictor: Predictor
) -> None:
    whole_folder.remove()
    with pytest.raises(SourceError, match="the plan of this raster is gone, as its run has ended"):
        run_block(whole_folder, predictor)
    assert not whole_folder.path.exists()
