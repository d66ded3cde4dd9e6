from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from geoseg.classes import ClassScheme
from geoseg.errors import SourceError
from geoseg.tiling import Window
from geoseg.vector import Layer, PartRegions, Regions, join_area, polygonize_part
from geoseg.vector import spool as module
from geoseg.vector.features import FeatureTable, feature_tables
from geoseg.vector.spool import (
    Spool,
    merged_features,
    read_pieces,
    write_features,
    write_pieces,
)

GRID = Affine(0.5, 0.0, 500_000.0, 0.0, -0.5, 5_400_000.0)
CLASSES = ClassScheme.from_names(["road", "roof", "grass"])
Blobs = Callable[..., tuple[np.ndarray, np.ndarray]]


def table(corners: list[int]) -> FeatureTable:
    """Features that their order tells apart: each outline is as many bytes long as its corner."""
    numbers = np.array(corners, np.int64)
    outlines = np.empty(numbers.size, object)
    outlines[:] = [b"%d" % number * (number % 3) for number in corners]
    shares = numbers / 1000
    return FeatureTable(
        outlines, numbers.astype(np.int32), shares, -shares, 2 * shares, *3 * (numbers,)
    )


def rows(tables: Iterator[FeatureTable] | list[FeatureTable]) -> list[tuple[object, ...]]:
    return [
        row
        for each in tables
        for row in zip(
            each.geometry,
            each.class_id.tolist(),
            each.area.tolist(),
            each.perimeter.tolist(),
            each.confidence.tolist(),
            each.last_corner.tolist(),
            strict=True,
        )
    ]


@settings(max_examples=100, deadline=None)
@given(
    owners=st.lists(st.integers(0, 4), max_size=60),
    chunk=st.integers(1, 9),
    cut=st.integers(1, 9),
)
def test_files_are_merged_in_the_order_of_their_corners(
    tmp_path_factory: pytest.TempPathFactory, owners: list[int], chunk: int, cut: int
) -> None:
    folder, spools = tmp_path_factory.mktemp("spools"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_ROWS", chunk)
        for owner in range(5):
            corners = [number for number, of in enumerate(owners) if of == owner]
            tables = [table(corners[at : at + cut]) for at in range(0, len(corners), cut)]
            write_features(folder / f"{owner}", tables)
            spools.append(Spool(folder / f"{owner}", min(corners, default=0)))
    assert rows(merged_features(spools)) == rows([table(list(range(len(owners))))])


def test_a_file_is_opened_when_its_turn_comes(tmp_path: Path) -> None:
    write_features(tmp_path / "above", [table([1, 5, 9])])
    merged = merged_features([Spool(tmp_path / "below", 10), Spool(tmp_path / "above", 0)])
    assert rows([next(merged)]) == rows([table([1, 5, 9])])
    with pytest.raises(SourceError, match=r"below: polygons .* missing"):
        next(merged)


def test_files_are_read_a_few_rows_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ROWS", 10)
    for number in range(3):
        write_features(tmp_path / f"{number}", [table(list(range(number, 900, 3)))])
    spools = [Spool(tmp_path / f"{number}", 0) for number in range(3)]
    assert max(map(len, merged_features(spools))) <= 30


def area_of(labels: np.ndarray, confidence: np.ndarray | None) -> PartRegions:
    height, width = labels.shape
    part = polygonize_part(labels, confidence, 7, 20)
    rest: list[PartRegions] = []

    def joined() -> Iterator[Regions]:
        rest.append((yield from join_area([part], Window(7, 20, height, width), 100, 100)))

    list(joined())
    return rest[0]


@pytest.mark.parametrize("with_confidence", [True, False])
def test_the_pieces_of_an_area_are_read_as_they_were(
    tmp_path: Path, make_blobs: Blobs, with_confidence: bool
) -> None:
    labels, confidence = make_blobs(40, 50)
    area = area_of(labels, confidence if with_confidence else None)
    write_pieces(tmp_path / "area", area)
    assert facts(read_pieces(tmp_path / "area")) == facts(area)


def test_so_is_an_area_without_any(tmp_path: Path) -> None:
    area = area_of(np.full((3, 4), 255, np.uint8), np.zeros((3, 4), np.uint8))
    write_pieces(tmp_path / "area", area)
    assert facts(read_pieces(tmp_path / "area")) == facts(area)


def facts(area: PartRegions) -> object:
    """All that an area holds, comparable."""
    corners, sides = area.borders, (area.top, area.bottom, area.left, area.right)
    arrays = [
        area.class_id,
        area.pixels,
        area.confidence_sum,
        area.last,
        corners.region,
        corners.row,
    ]
    arrays += [corners.col, corners.positive, *(each for side in sides for each in side)]
    place = (area.row, area.col, area.height, area.width)
    return place, [None if each is None else (each.dtype, each.tolist()) for each in arrays]


@pytest.mark.parametrize("at", [0.0, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("what", ["features", "pieces"])
def test_a_damaged_file_is_refused(tmp_path: Path, make_blobs: Blobs, what: str, at: float) -> None:
    path = tmp_path / what
    labels, confidence = make_blobs(40, 50)
    part = polygonize_part(labels, confidence, 7, 20)
    if what == "features":
        layer = Layer("x", [part.whole], 100, 100, GRID, CRS.from_epsg(32632), CLASSES)
        write_features(path, feature_tables(layer))
    else:
        write_pieces(path, area_of(labels, confidence))
    content = bytearray(path.read_bytes())
    content[int(at * len(content))] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(
        SourceError, match=rf"{what}: polygons .* damaged .*; run the command again"
    ):
        rows(merged_features([Spool(path, 0)])) if what == "features" else read_pieces(path)


def test_a_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "features"
    write_features(path, [table(list(range(100)))])
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SourceError, match="damaged"):
        rows(merged_features([Spool(path, 0)]))
