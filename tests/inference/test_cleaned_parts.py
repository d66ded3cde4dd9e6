"""Cleaned parts as stages of tasks: whatever the areas, those of the rule on the whole raster."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import shapely

from geoseg.errors import SourceError
from geoseg.inference import areas as areas_module
from geoseg.inference import polygons as polygons_module
from geoseg.inference.cleaned_parts import absorb_regions, clean_area, cleaning_stages, graph_area
from geoseg.inference.engine import Sheet
from geoseg.inference.polygons import make_polygons, polygon_stages
from geoseg.raster import read_part
from geoseg.vector import Cleaning
from tests.inference.test_polygons import BLOCKS, PROCESS, outputs_in, rows, run, sheet
from tests.vector.test_absorb import by_graph, large

__all__ = ["sheet"]


def assembled(sheet: Sheet, kind: str) -> np.ndarray:
    labels = np.zeros((64, 80), np.uint8)
    for part in sheet.folder.parts(BLOCKS, kind):
        rows = slice(part.row, part.row + part.height)
        labels[rows, part.col : part.col + part.width] = read_part(part)[0]
    return labels


@pytest.fixture
def cleaned(sheet: Sheet) -> Sheet:
    return dataclasses.replace(sheet, cleaning=Cleaning.from_options(min_area=3, keep="tree"))


@pytest.mark.parametrize("pixels", [1, 1500, 10**6])
def test_parts_are_cleaned_as_the_rule_says(
    cleaned: Sheet, monkeypatch: pytest.MonkeyPatch, pixels: int
) -> None:
    monkeypatch.setattr(areas_module, "AREA_PIXELS", pixels)
    for stage in cleaning_stages(cleaned, BLOCKS):
        for task in [*reversed(stage), stage[0]]:  # in any order, and one of them twice
            run(task)
    before, after = assembled(cleaned, "classes"), assembled(cleaned, "cleaned")
    weights = np.ones(before.shape, np.int64)
    at_once = by_graph(before, weights, large(12, {3}), ([], []))
    np.testing.assert_array_equal(after, at_once)
    assert (before != after).sum() > 100


def test_nothing_is_cleaned_unasked(sheet: Sheet) -> None:
    assert cleaning_stages(sheet, BLOCKS) == []


def test_what_another_task_left_damaged_is_refused(cleaned: Sheet) -> None:
    graph_area(PROCESS, cleaned, 0)
    path: Path = cleaned.area_file(0, 0, "graph")
    content = path.read_bytes()
    path.write_bytes(content[:-30])
    with pytest.raises(SourceError, match=r"graph.* missing or damaged"):
        absorb_regions(PROCESS, cleaned)
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"classes.* missing or damaged"):
        clean_area(PROCESS, cleaned, 0)
    stopped = dataclasses.replace(PROCESS, stopped=lambda: True)
    with pytest.raises(KeyboardInterrupt):
        graph_area(stopped, cleaned, 0)


@pytest.mark.parametrize("pixels", [1, 1500])
def test_simplified_polygons_are_the_same_however_many_areas_there_are(
    cleaned: Sheet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pixels: int
) -> None:
    monkeypatch.setattr(polygons_module, "CELL", 30)
    cleaned = dataclasses.replace(
        cleaned, cleaning=Cleaning.from_options(min_area="12px", simplify=0.5)
    )
    for tasks in cleaning_stages(cleaned, BLOCKS):
        for task in tasks:
            run(task)
    once, tree = outputs_in(tmp_path / "at once"), outputs_in(tmp_path / "tree")
    make_polygons(PROCESS, cleaned, once)
    monkeypatch.setattr(areas_module, "AREA_PIXELS", pixels)
    stages = polygon_stages(cleaned, BLOCKS, tree)
    assert len(stages) >= 3
    for tasks in stages:
        for task in reversed(tasks):
            run(task)
    assert rows(tree[0].path) == rows(once[0].path)
    geometry = shapely.from_wkb([row[0] for row in rows(once[0].path)])
    assert shapely.coverage_is_valid(geometry)
    labels = assembled(cleaned, "cleaned")
    assert shapely.area(geometry).sum() == pytest.approx((labels < 254).sum() / 4, rel=1e-9)
