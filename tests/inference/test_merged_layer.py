"""Merged layers: the polygons of sheets are those of the raster that they are cut from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pytest
from rasterio import Affine

import geoseg
from geoseg.errors import ConfigError, OutputError
from geoseg.progress import Progress
from tests.conftest import GRID

Make = Callable[..., Path]

CUTS = {"a": (0, 0, 40, 70), "b": (0, 55, 50, 45), "c": (36, 0, 34, 60), "d": (44, 52, 26, 48)}
"""Row, column, height and width of sheets that overlap and cover 70 x 100 pixels."""


class Notes(Progress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)


def cut(make: Make, whole: np.ndarray, folder: str, **options: object) -> list[Path]:
    paths = []
    for name, (row, col, height, width) in CUTS.items():
        place = GRID @ Affine.translation(col, row)
        data = whole[:, row : row + height, col : col + width]
        paths.append(make(f"{folder}/{name}.tif", data=data, transform=place, **options))
    return paths


def polygons(path: Path, layer: str) -> list[tuple[object, ...]]:
    frame = geopandas.read_file(path, layer=layer)
    return list(zip(frame.geometry.to_wkb(), frame["class_id"], frame["confidence"], strict=True))


@pytest.fixture
def labels() -> np.ndarray:
    coarse = np.random.default_rng(5).choice(np.array([0, 1, 1, 2, 255], np.uint8), (1, 14, 20))
    return np.kron(coarse, np.ones((1, 5, 5), np.uint8))


@pytest.mark.parametrize("suffix", [".gpkg", ".fgb", ".geojsonl"])
@pytest.mark.parametrize("cleaning", [{}, {"min_area": "30px", "simplify": "1px"}])
def test_class_rasters_are_merged_into_the_polygons_of_the_whole(
    make_raster: Make, labels: np.ndarray, tmp_path: Path, suffix: str, cleaning: dict[str, str]
) -> None:
    whole = make_raster("whole.tif", data=labels, nodata=255)
    sheets = cut(make_raster, labels, "sheets", nodata=255)
    one, merged = tmp_path / f"one{suffix}", tmp_path / f"merged{suffix}"
    geoseg.vectorize(whole, one, **cleaning)
    report = geoseg.vectorize(sheets, merged, merge=True, **cleaning)
    one_frame, merged_frame = (geopandas.read_file(each, layer=each.stem) for each in (one, merged))
    assert merged_frame.equals(one_frame)
    assert f"{len(one_frame)} polygons of 4 rasters in {merged}" in report.text
    assert geoseg.vectorize(sheets, merged, merge=True, **cleaning).data["kept"]


def test_the_rule_says_which_raster_counts_where_two_overlap(
    make_raster: Make, labels: np.ndarray, tmp_path: Path
) -> None:
    for name, value in (("a", 0), ("b", 1)):
        make_raster(f"{name}.tif", data=np.full((1, 8, 8), value, np.uint8), nodata=255)
    paths = [tmp_path / "a.tif", tmp_path / "b.tif"]
    geoseg.vectorize(paths[::-1], tmp_path / "v.gpkg", merge=True)
    assert geopandas.read_file(tmp_path / "v.gpkg", layer="v")["class_id"].tolist() == [0]


def test_what_cannot_be_merged_is_refused_with_what_to_do(
    make_raster: Make, labels: np.ndarray, tmp_path: Path
) -> None:
    one = make_raster("one.tif", data=labels, nodata=255)
    other = make_raster("other.tif", data=labels, nodata=255, crs="EPSG:32633")
    with pytest.raises(ConfigError, match=r"sheets have one coordinate system: merge those of"):
        geoseg.vectorize([one, other], tmp_path / "v.gpkg", merge=True)
    with pytest.raises(ConfigError, match="overlap_rule is about merged rasters; give merge too"):
        geoseg.vectorize([one], tmp_path / "v.gpkg", overlap_rule="newest")


def test_predicted_sheets_become_one_layer_that_is_kept(
    make_raster: Make, model_file: Path, tmp_path: Path
) -> None:
    data = np.random.default_rng(0).integers(1, 255, (3, 14, 20)).astype(np.uint8)
    data = np.kron(data, np.ones((1, 5, 5), np.uint8))
    make_raster("town/whole.tif", data=data, nodata=0)
    cut(make_raster, data, "sheets", nodata=0)
    options = {"confidence": True, "preview": False, "simplify": "1px"}
    geoseg.predict(tmp_path / "town", model_file, out=tmp_path / "one", **options)
    out, notes = tmp_path / "out", Notes()
    options |= {"merge": True, "vectors": "gpkg,fgb"}
    geoseg.predict(tmp_path / "sheets", model_file, out=out, progress=notes, **options)
    expected = polygons(tmp_path / "one/whole_polygons.gpkg", "whole_polygons")
    assert polygons(out / "sheets_polygons.gpkg", "sheets_polygons") == expected
    assert len(geopandas.read_file(out / "sheets_polygons.fgb")) == len(expected)
    assert {path.name for path in out.glob("*.gpkg")} == {"sheets_polygons.gpkg"}
    assert any(f"{len(expected):,} polygons of 4 sheets in" in line for line in notes.lines)

    before = (out / "sheets_polygons.gpkg").stat().st_mtime_ns
    geoseg.predict(tmp_path / "sheets", model_file, out=out, **options)
    assert (out / "sheets_polygons.gpkg").stat().st_mtime_ns == before


def test_what_a_run_cannot_merge_is_refused_before_it_begins(
    make_raster: Make, model_file: Path, tmp_path: Path
) -> None:
    make_raster("in/a.tif", bands=3)
    make_raster("in/b.tif", bands=3, crs="EPSG:32633")
    out = tmp_path / "out"
    with pytest.raises(
        ConfigError, match=r"merge: .* leave merge out, or give --mosaic sheets --r"
    ):
        geoseg.predict(tmp_path / "in", model_file, out=out, merge=True)
    with pytest.raises(ConfigError, match=r"merge: no polygons are written; give vectors too"):
        geoseg.predict(tmp_path / "in", model_file, out=out, merge=True, vectors="none")
    with pytest.raises(ConfigError, match=r"polygons of a mosaic are one layer; leave merge out"):
        geoseg.predict(tmp_path / "in", model_file, out=out, merge=True, mosaic="sheets")
    (tmp_path / "in/b.tif").unlink()
    out.mkdir()
    (out / "in_polygons.gpkg").write_text("mine")
    with pytest.raises(OutputError, match=r"is no merged layer of geoseg's; use --overwrite or an"):
        geoseg.predict(tmp_path / "in", model_file, out=out, merge=True)
