"""What became of features, counted once for each file, whatever its number of rasters."""

from __future__ import annotations

from pathlib import Path

from geoseg.datasets.drawn_features import (
    DrawnFeatures,
    describe_counts,
    feature_counts,
    feature_warnings,
)


def drawn(
    raster: str, here: set[int], clipped: frozenset[int] = frozenset(), file: str = "a.gpkg"
) -> DrawnFeatures:
    """Of a file of six features, five of polygons, on one raster."""
    dropped, warnings = (("Point", 1),), (f"{file}: a warning",)
    return DrawnFeatures(
        Path(file), Path(raster), 6, 5, frozenset(here), clipped, dropped, warnings
    )


def test_a_feature_on_several_rasters_counts_once() -> None:
    found = [drawn("1.tif", {0, 1}, frozenset({1})), drawn("2.tif", {1, 2}, frozenset({1, 2}))]
    row = {"file": "a.gpkg", "features": 6, "burnt": 3, "clipped": 2, "outside": 2}
    assert feature_counts(found) == [{**row, "dropped": {"Point": 1}}]


def test_each_file_has_its_row_and_all_are_told_in_one_line() -> None:
    rows = feature_counts([drawn("1.tif", {0}), drawn("1.tif", set(), file="b.gpkg")])
    assert [(row["file"], row["burnt"], row["outside"]) for row in rows] == [
        ("a.gpkg", 1, 4),
        ("b.gpkg", 0, 5),
    ]
    assert describe_counts(rows) == (
        "1 polygon feature of 2 files burnt, 0 of them clipped; 9 outside the images, "
        "2 without an area"
    )


def test_a_file_that_misses_its_only_raster_is_named_and_warnings_come_once() -> None:
    assert feature_warnings([drawn("1.tif", set())]) == [
        "a.gpkg: a warning",
        "a.gpkg: none of its 5 polygons lies on 1.tif; check both coordinate systems",
    ]
    assert feature_warnings([drawn("1.tif", set()), drawn("2.tif", {1})]) == ["a.gpkg: a warning"]
