"""Squares with an index are the raster that one file would be, level by level."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import Affine, from_origin

from geoseg.classes import ClassScheme
from geoseg.raster import Part, chunks, read_class_names, read_fingerprint, write_cog, write_part
from geoseg.raster.layers import Layer, class_layer, confidence_layer, probability_layer

CLASSES = ClassScheme.from_names(["road", "roof", "tree"])
PLACE: dict[str, Any] = {
    "transform": from_origin(500_000.0, 5_400_000.0, 0.5, 0.5),
    "crs": CRS.from_epsg(32632),
    "fingerprint": "0123abcd",
}


def cut(folder: Path, name: str, data: np.ndarray) -> list[Part]:
    made = []
    for row in range(0, data.shape[-2], 700):
        for col in range(0, data.shape[-1], 900):
            pixels = data[..., row : row + 700, col : col + 900]
            part = Part(folder / f"{name}-{row}-{col}.tif", row, col, *pixels.shape[-2:])
            write_part(part, pixels)
            made.append(part)
    return made


def make_both(
    folder: Path, layer: Layer, parts: list[Part], valid: list[Part], side: int, **place: Any
) -> tuple[Path, Path]:
    """The raster as one file, and as squares with an index."""
    whole, index = folder / "whole.tif", folder / "scene_classes.vrt"
    write_cog(layer, parts, whole, valid=valid, **place)
    counts = []
    for area in chunks.chunk_areas(place["height"], place["width"], side):
        path = chunks.chunk_path(index, area, side)
        levels = chunks.chunk_overviews(side)
        counts.append(
            write_cog(layer, parts, path, valid=valid, area=area, overviews=levels, **place)
        )
    chunks.write_index(layer, index, side, **place)
    with rasterio.open(whole) as file:
        assert (sum(counts) == np.bincount(file.read(1).ravel(), minlength=256)).all()
    return whole, index


def check_same(whole: Path, index: Path) -> None:
    with rasterio.open(whole) as one, rasterio.open(index) as many:
        levels = one.overviews(1)
        assert many.overviews(1) == levels
        for name in ("shape", "count", "crs", "transform", "nodata", "scales", "descriptions"):
            assert getattr(many, name) == getattr(one, name), name
        for level in levels:  # map programs ask for fewer pixels than there are
            shape = -(-one.height // level), -(-one.width // level)
            masks = [file.read_masks(1, out_shape=shape) for file in (many, one)]
            np.testing.assert_array_equal(*masks)
    for level in (None, *range(len(levels))):
        options = {} if level is None else {"OVERVIEW_LEVEL": level}
        with rasterio.open(whole, **options) as one, rasterio.open(index, **options) as many:
            np.testing.assert_array_equal(many.read(), one.read(), str(level))
            np.testing.assert_array_equal(many.read_masks(1), one.read_masks(1), str(level))


@pytest.mark.parametrize(
    ("kind", "height", "width", "side"),
    [
        # Squares in both directions, and levels above those of the squares.
        ("classes", 1100, 2100, 512),
        ("classes", 2500, 1100, 1024),
        ("classes", 600, 2900, 2048),
        ("classes", 2049, 1, 1024),
        ("classes", 1025, 4097, 1024),
        ("confidence", 1300, 1500, 512),
        ("confidence", 1300, 1500, 1024),
        ("probabilities", 1300, 1500, 512),
        ("probabilities", 1300, 1500, 1024),
    ],
)
def test_every_level_is_that_of_one_file(
    tmp_path: Path, kind: str, height: int, width: int, side: int
) -> None:
    random = np.random.default_rng(0)
    ids = np.array([0, 1, 2, 254, 255], np.uint8)
    labels = ids[random.integers(0, 5, (height, width), np.uint8)]
    codes = np.where(labels == 255, 0, random.integers(1, 256, (3, height, width), np.uint8))
    valid: list[Part] = []
    if kind == "classes":
        layer, parts = class_layer(CLASSES), cut(tmp_path, "l", labels)
    elif kind == "confidence":
        layer, parts = confidence_layer(), cut(tmp_path, "c", codes[0])
    else:
        layer, parts = probability_layer(CLASSES), cut(tmp_path, "p", codes)
        valid = cut(tmp_path, "v", labels)
    whole, index = make_both(
        tmp_path, layer, parts, valid, side, height=height, width=width, **PLACE
    )
    check_same(whole, index)


@pytest.mark.parametrize("moved", [False, True])
def test_an_index_has_palette_names_and_fingerprint_also_where_it_is_moved(
    tmp_path: Path, moved: bool
) -> None:
    labels = np.random.default_rng(0).integers(0, 3, (1100, 1200), dtype=np.uint8)
    parts = cut(tmp_path, "l", labels)
    place = {**PLACE, "height": 1100, "width": 1200}
    whole, index = make_both(tmp_path / "out", class_layer(CLASSES), parts, [], 512, **place)
    if moved:
        folder = whole.parent.rename(tmp_path / "moved")
        whole, index = folder / whole.name, folder / index.name
    check_same(whole, index)
    assert read_fingerprint(index) == "0123abcd"
    assert read_class_names(index) == CLASSES.names
    with rasterio.open(index) as many, rasterio.open(whole) as one:
        assert many.colormap(1) == one.colormap(1)
        assert many.colorinterp == one.colorinterp
    assert all(
        read_fingerprint(path) == "0123abcd"
        for path in chunks.index_files(index)
        if path.suffix not in (".xml", ".qml")
    )


def test_without_georeferencing_there_is_none(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 3, (600, 700), dtype=np.uint8)
    place = {"transform": Affine.identity(), "crs": None, "fingerprint": "0"}
    whole, index = make_both(
        tmp_path,
        class_layer(CLASSES),
        cut(tmp_path, "l", labels),
        [],
        512,
        height=600,
        width=700,
        **place,
    )
    check_same(whole, index)
    for path in index.with_suffix("").glob("*.tif"):
        with rasterio.open(path) as file:
            assert file.transform.is_identity


@pytest.mark.parametrize("most", [512**2, 512**2 + 1, 1024**2 - 1, 1024**2, 2**30, 2**31])
def test_the_side_is_the_largest_power_of_two(most: int) -> None:
    side = chunks.chunk_side(most)
    assert side**2 <= most < (2 * side) ** 2
    assert side.bit_count() == 1


def test_squares_tile_the_raster_row_by_row() -> None:
    covered = np.zeros((1300, 1100), int)
    areas = chunks.chunk_areas(1300, 1100, 512)
    for area in areas:
        covered[area.slices()] += 1
        assert (area.row % 512, area.col % 512) == (0, 0)
    assert (covered == 1).all()
    assert [(area.row, area.col) for area in areas] == sorted(
        (each.row, each.col) for each in areas
    )
    path = chunks.chunk_path(Path("out/a.b_classes.vrt"), areas[4], 512)
    assert path == Path("out/a.b_classes/a.b_classes_r001_c001.tif")


def test_files_of_an_index_are_known_by_name_and_their_fingerprint(tmp_path: Path) -> None:
    labels = np.zeros((600, 700), np.uint8)
    place = {**PLACE, "height": 600, "width": 700}
    _, index = make_both(
        tmp_path, class_layer(CLASSES), cut(tmp_path, "l", labels), [], 512, **place
    )
    folder = index.with_suffix("")
    (folder / "scene_classes_r000_c000.txt").write_text("mine")
    names = {path.name for path in chunks.index_files(index)}
    squares = {f"scene_classes_r{row:03d}_c{col:03d}.tif" for row in (0, 1) for col in (0, 1)}
    above = {"scene_classes_overviews.tif", "scene_classes_overview1.vrt"}
    tables = {f"{name}.aux.xml" for name in (*squares, "scene_classes_overviews.tif")}
    assert names == {"scene_classes.vrt", "scene_classes.qml", *squares, *above, *tables}
    assert chunks.index_files(index)[0] == index
    assert all(chunks.has_fingerprint(path, "0123abcd") for path in chunks.index_files(index))
    assert not any(chunks.has_fingerprint(path, "0123") for path in chunks.index_files(index))
    gone = "scene_classes_r000_c000.tif"
    (folder / gone).unlink()
    assert read_fingerprint(index) is None
    assert chunks.has_fingerprint(index, "0123abcd")
    (folder / "scene_classes_r009_c000.tif").write_text("mine")
    assert chunks.own_index_files(index) == chunks.index_files(index)
    index.unlink()  # as by a run that was killed in between
    orphans = {path.name for path in chunks.own_index_files(index)}
    assert orphans == names - {"scene_classes.vrt", "scene_classes.qml", gone}
