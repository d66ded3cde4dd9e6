from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from geoseg.errors import OutputError
from geoseg.inference.area_table import ClassAreas, refuse_foreign_areas, write_areas

NAMES = ["road", "a, b"]


def areas(raster: Path, pixels: list[int], metres: float) -> ClassAreas:
    counted = np.array(pixels, np.int64)
    return ClassAreas(raster, counted, metres * counted)


def rows_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "areas.csv").open()))


def test_a_row_a_class_of_each_sheet_and_of_all_together(tmp_path: Path) -> None:
    sheets = [
        areas(tmp_path / "north/a_classes.tif", [30, 10, 0], 0.25),
        areas(tmp_path / "b_classes.vrt", [0, 10, 50], 0.25),
    ]
    write_areas(tmp_path, sheets, NAMES)
    found = [list(row.values()) for row in rows_of(tmp_path)]
    assert found == [
        ["north/a", "road", "30", "7.5", "0.00075", "0.75"],
        ["north/a", "a, b", "10", "2.5", "0.00025", "0.25"],
        ["b", "road", "0", "0.0", "0.0", "0.0"],
        ["b", "a, b", "10", "2.5", "0.00025", "0.166667"],
        ["b", "uncertain", "50", "12.5", "0.00125", "0.833333"],
        ["total", "road", "30", "7.5", "0.00075", "0.3"],
        ["total", "a, b", "20", "5.0", "0.0005", "0.2"],
        ["total", "uncertain", "50", "12.5", "0.00125", "0.5"],
    ]


def test_without_crs_shares_are_of_pixels(tmp_path: Path) -> None:
    write_areas(tmp_path, [areas(tmp_path / "a_classes.tif", [3, 1, 0], np.nan)], NAMES)
    first, *_ = rows_of(tmp_path)
    assert (first["m2"], first["ha"], first["share"]) == ("", "", "0.75")


def test_a_table_of_somebody_else_is_refused_before_anything_runs(tmp_path: Path) -> None:
    refuse_foreign_areas(tmp_path, overwrite=False)
    write_areas(tmp_path, [areas(tmp_path / "a_classes.tif", [3, 1, 0], 1.0)], NAMES)
    refuse_foreign_areas(tmp_path, overwrite=False)
    (tmp_path / "areas.csv").write_text("mine\n")
    with pytest.raises(OutputError, match=r"areas\.csv exists and was not written by geoseg pre"):
        refuse_foreign_areas(tmp_path, overwrite=False)
    refuse_foreign_areas(tmp_path, overwrite=True)
