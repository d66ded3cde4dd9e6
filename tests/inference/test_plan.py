"""The plan against formulas written out by hand, and the laws of its growth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from geoseg.inference.block_memory import device_bytes, mapped_pixels
from geoseg.inference.choice import Choice
from geoseg.inference.plan import RasterPlan
from geoseg.inference.probe import Probe
from geoseg.inference.survey import survey_raster
from geoseg.raster import Source, assembly, open_raster
from geoseg.tiling import Block, Cells, TileGrid, Window

GDAL = 64 * 2**20


@pytest.fixture
def source(make_raster: Callable[..., Path]) -> Source:
    return open_raster(make_raster(bands=3, height=60, width=80, dtype="uint16"))


def plan_of(
    source: Source,
    *,
    blocks: Any = "auto",
    classes: int = 5,
    probabilities: bool = False,
    forwards: int = 35,
    window: int = 20,
) -> RasterPlan:
    grid = TileGrid(60, 80, window, 8)
    return RasterPlan.from_blocks(
        grid.blocks(blocks), source, classes, probabilities, forwards=forwards
    )


def test_memory_is_accumulator_strips_finished_bands_and_gdals_cache(source: Source) -> None:
    """One block: windows start at rows 0, 12, 24, 36, 40; the last band is 20 rows high."""
    accumulator = 5 * 20 * 80 * 4  # classes, window rows, width, float32
    # 3 float32 bands with two masks; 3 uint16 bands with one, just read and the next ones
    strips = 20 * 80 * (3 * 4 + 2) + 2 * 20 * 80 * (3 * 2 + 1)
    finished = 3 * 20 * 80 * 2  # three bands of labels and confidence
    assert plan_of(source).memory == accumulator + strips + finished + GDAL
    with_probabilities = 3 * 20 * 80 * (2 + 5)
    assert plan_of(source, probabilities=True).memory == (
        accumulator + strips + with_probabilities + GDAL
    )


def test_a_strip_holds_all_that_the_windows_of_its_block_see(source: Source) -> None:
    """Columns 30..49 are touched by the windows that start at columns 12, 24, 36 and 48."""
    block = Block(TileGrid(60, 80, 20, 8), Window(0, 30, 60, 20))
    plan = RasterPlan.from_blocks([block], source, 5, False, forwards=20)
    accumulator = 5 * 20 * 20 * 4
    strips = 20 * (48 - 12 + 20) * (14 + 2 * 7)
    finished = 3 * 20 * 20 * 2
    assert plan.memory == accumulator + strips + finished + GDAL


def test_assembling_holds_the_rows_of_tiles_under_a_part_and_the_part_twice(
    make_raster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_raster(make_raster(height=3000, width=600))
    blocks = TileGrid(3000, 600, 20, 8).blocks()

    def assembled(probabilities: bool = False, **options: Any) -> int:
        plan = RasterPlan.from_blocks(blocks, source, 5, probabilities, forwards=1, **options)
        return plan.assembled

    part = 2 * 20 * 600
    plane = 2 * 512 * 600 + part  # a part may lie across two rows of tiles
    assert assembled() == plane
    assert assembled(True, confidence=True) == 7 * plane
    assert assembled(confidence=True, choice=Choice(3), side=32) == 3 * (2 * 512 * 32 + part)
    assert assembled(True, choice=Choice(3), side=32) == 3 * 5 * (2 * 512 * 32 + part)
    monkeypatch.setattr(assembly, "_HELD_BYTES", 2**20)
    assert assembled() == plane, "a column of tiles at least, here both"
    assert assembled(True) == plane + 5 * (2 * 512 * 512 + part)


def test_a_raster_smaller_than_a_window_takes_its_own_size(make_raster: Any) -> None:
    source = open_raster(make_raster(bands=1, height=10, width=7))
    (block,) = TileGrid(10, 7, 20, 8).blocks()
    plan = RasterPlan.from_blocks([block], source, 2, False, forwards=1)
    assert plan.memory == 2 * 10 * 7 * 4 + 10 * 7 * (6 + 2 * 2) + 3 * 10 * 7 * 2 + GDAL


def test_the_largest_block_decides(source: Source) -> None:
    grid = TileGrid(60, 80, 20, 8)
    wide, narrow = Block(grid, Window(0, 0, 60, 60)), Block(grid, Window(0, 60, 60, 20))
    alone, both = (
        RasterPlan.from_blocks(blocks, source, 5, False, forwards=1)
        for blocks in ([wide], [narrow, wide])
    )
    assert both.memory == alone.memory
    assert (both.blocks, alone.blocks) == (2, 1)


def test_memory_grows_with_classes_and_width_and_not_with_height(make_raster: Any) -> None:
    def memory(height: int = 100, width: int = 100, classes: int = 4) -> int:
        source = open_raster(make_raster(f"{height}-{width}.tif", height=height, width=width))
        blocks = TileGrid(height, width, 20, 0).blocks()
        return RasterPlan.from_blocks(blocks, source, classes, False, forwards=1).memory

    assert memory(classes=5) - memory(classes=4) == 20 * 100 * 4
    assert memory(width=200) - GDAL == 2 * (memory() - GDAL)
    assert memory(height=500) == memory()


def test_counts_and_sizes_are_those_of_the_lattice(source: Source) -> None:
    plan = plan_of(source, blocks=40, forwards=48)
    assert plan.pixels == 60 * 80
    assert plan.windows == 5 * 6
    assert plan.forwards == 48
    assert plan.window_pixels == 400
    assert plan.blocks == 4
    assert plan.output == 720  # 0.15 bytes per pixel
    assert plan.least_output == 48  # 0.01 bytes per pixel


def plans() -> list[RasterPlan]:
    return [
        RasterPlan(
            *(1000, 10, 12, 400, 2, 700, 150),
            drawing=30,
            polygonized=20,
            written=7,
            areas=2,
            decoded=2,
        ),
        RasterPlan(
            *(3000, 30, 30, 400, 1, 500, 450),
            drawing=90,
            polygonized=10,
            written=8,
            areas=3,
            decoded=5,
            planes=3,
        ),
    ]


def test_rasters_add_up_but_for_memory_which_the_largest_decides() -> None:
    total = RasterPlan(
        *(4000, 40, 42, 400, 3, 700, 600),
        drawing=90,
        polygonized=20,
        written=8,
        areas=5,
        decoded=5,
        planes=3,
    )
    assert RasterPlan.total(plans()) == RasterPlan.total(plans()[::-1]) == total
    assert RasterPlan.total(plans()[:1]) == plans()[0]


def plan(**changes: Any) -> RasterPlan:
    given = {"pixels": 10**6, "windows": 9, "forwards": 12, "window_pixels": 400, "blocks": 1}
    return RasterPlan(**{**given, "memory": 0, "output": 0, **changes})


ALONE = Choice()


def test_what_is_written_and_how_decides_planes_and_what_is_held(source: Source) -> None:
    blocks = TileGrid(60, 80, 20, 8).blocks()
    few = RasterPlan.from_blocks(blocks, source, 5, False, forwards=1)
    assert (few.planes, few.polygonized, few.drawing) == (1, 0, 60 * 80 * 7)
    many = RasterPlan.from_blocks(
        blocks, source, 5, True, forwards=1, confidence=True, polygons=True
    )
    assert (many.planes, many.polygonized) == (7, 2 * 20 * 80), "one is made, one is joined"
    all_at_once = RasterPlan.from_blocks(
        blocks, source, 5, False, forwards=1, polygons=True, choice=Choice(50)
    )
    assert all_at_once.polygonized == 60 * 80, "no more than the raster has"
    assert (few.areas, many.areas, many.written) == (1, 1, 60 * 80)


def test_a_raster_of_several_areas_is_polygonized_in_each_part_by_part(
    source: Source,
) -> None:
    blocks = TileGrid(60, 80, 20, 8).blocks()
    # A part has 20 x 80 pixels at most.
    shared = RasterPlan.from_blocks(
        blocks, source, 5, False, forwards=1, polygons=True, choice=Choice(3, area=1700)
    )
    assert shared.areas == 5, "one a lattice row"
    assert shared.written == 20 * 80
    assert shared.polygonized == 2 * 20 * 80, "one is made, one is joined"


PROBE = Probe(0.04, 10_000)


def test_a_strip_for_cells_is_as_wide_as_they_see() -> None:
    """The windows that touch columns 40 to 59 see 32 to 71, of cells 1 to 3, which see 16 to 83."""
    grid = TileGrid(100, 200, 16, 8, "blend", 4, Cells(20, 4))
    block = Block(grid, Window(0, 40, 100, 20))
    assert [grid.col_starts[col] for col in block.lattice_cols] == [32, 40, 48, 56]
    maps = (16 + 20) * (72 - 32)
    strip = 28 * (84 - 16)
    assert mapped_pixels(block) == maps
    assert device_bytes(block, 3, 2) == 4 * 3 * 16 * 20 + strip * (4 * 2 + 1) + maps


def test_the_report_holds_the_plan() -> None:
    given = plan(pixels=1000, windows=10, blocks=2, memory=2**30, output=150)
    assert given.to_json(PROBE, 1.26, 77) == {
        "pixels": 1000,
        "windows": 10,
        "forwards": 12,
        "forwards_per_window": 1.2,
        "forward_pixels": 12 * given.window_pixels,
        "cells": 0,
        "encoded_pixels": 0,
        "blocks": 2,
        "peak_memory_bytes": 77,
        "seconds": 1.3,
        "output_bytes": 150,
        "rate": "measured now",
    }
    third = RasterPlan(1000, 3, 4, 400, 1, 1, 1).to_json(Probe(1 / 3, 1), 2.0, 1)
    assert third["forwards_per_window"] == 1.3333


def test_the_printed_plan_says_how_often_a_pixel_is_encoded() -> None:
    shared = RasterPlan(1000, 3, 4, 400, 1, 1, 1, cells=7, encoded=1310)
    first, _ = shared.lines(PROBE, 1.0, 1, 1, 1)
    assert first.endswith("4 forwards at most (1.60 per pixel) of 7 cells (1.31 per pixel)")


def test_the_printed_plan_has_two_lines() -> None:
    plan = RasterPlan(20_000_000, 100, 104, 250_000, 2, memory=2**29, output=3_000_000)
    assert plan.lines(Probe(0.5, 2**30), 52.9, 3 * 2**29, 2**32, 1) == [
        "plan: 1 raster, 20.0 Mpx, 100 windows in 2 blocks, 104 forwards at most (1.30 per pixel)",
        "      about 53 s, 1.5 of 4.0 GiB of memory, 3.0 MB of class rasters",
    ]
    assert plan.lines(Probe(0.5, 2**30), 9.0, 1, 2**32, 3)[0].startswith("plan: 3 rasters, ")
    kept = plan.lines(Probe(0.5, 2**30, kept_since="yesterday"), 9.0, 3 * 2**29, 2**32, 1)[1]
    assert kept.endswith(" of class rasters (by a rate measured yesterday)")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (89.4, "89 s"),
        (90.1, "2 min"),
        (149.9, "2 min"),
        (5399, "90 min"),
        (5400, "1.5 h"),
        (3_600_000, "1000.0 h"),
    ],
)
def test_times_have_the_unit_that_suits_them(seconds: float, text: str) -> None:
    plan = RasterPlan(1, 1, 1, 1, 1, 1, 1)
    assert f"about {text}, " in plan.lines(PROBE, seconds, 3 * 2**29, 2**32, 1)[1]


def test_when_files_begin_changes_no_plan(make_run: Any, make_job: Any) -> None:
    """So `fit_memory` plans each raster once for both."""
    run = make_run()
    survey = survey_raster(run, make_job(run))
    early, late = (survey.plan(Choice(begun=begun)) for begun in (True, False))
    assert early == late
