"""Oracle: the polygons as they were written; GDAL gives others without a word."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.errors import VectorError
from geoseg.vector import read_features

COUNT = 6
BOXES = [shapely.box(index, 0, index + 1, 1) for index in range(COUNT)]
NAMES = [f"name {index}" for index in range(COUNT)]


def save(path: Path, boxes: list[shapely.Polygon] = BOXES) -> Path:
    pyogrio.raw.write(
        path,
        np.array([shapely.to_wkb(box) for box in boxes], object),
        [np.array(NAMES[: len(boxes)], object)],
        ["name"],
        geometry_type="Polygon",
        crs="EPSG:32632",
    )
    return path


def is_as_written(path: Path) -> bool:
    found = read_features(path, attribute="name")
    return found.values == NAMES and bool(shapely.equals(found.polygons, BOXES).all())


@pytest.fixture(scope="module")
def shapefile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("shapes") / "town.shp")


def test_a_whole_shapefile_is_read(shapefile: Path) -> None:
    assert is_as_written(shapefile)


@settings(max_examples=300, deadline=None)
@given(flips=st.lists(st.integers(0, 8 * (100 + 8 * COUNT) - 1), min_size=1, max_size=3))
def test_a_flipped_bit_in_the_index_never_gives_other_polygons(
    shapefile: Path, flips: list[int]
) -> None:
    index = shapefile.with_suffix(".shx")
    whole = index.read_bytes()
    damaged = bytearray(whole)
    for bit in flips:
        damaged[bit // 8] ^= 1 << bit % 8
    index.write_bytes(damaged)
    try:
        with suppress(VectorError):
            assert is_as_written(shapefile)
    finally:
        index.write_bytes(whole)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda shx: shx[:-8], "it is cut short"),
        (lambda shx: shx[:24] + (62 + 4 * 2).to_bytes(4) + shx[28:], "shapes, the .dbf has 6 rows"),
        (lambda shx: shx[:-8] + shx[-16:-8], "to the same bytes twice"),
        (lambda shx: shx[:100] + shx[108:116] + shx[100:108] + shx[116:], "no shape begins where"),
        (lambda shx: shx[:-8] + b"\x7f\0\0\0" + shx[-4:], "out of the file"),
    ],
)
def test_an_index_that_does_not_fit_is_refused(tmp_path: Path, change, said: str) -> None:
    path = save(tmp_path / "town.shp")
    index = path.with_suffix(".shx")
    index.write_bytes(change(index.read_bytes()))
    with pytest.raises(VectorError, match=rf"town\.shp: its \.shx .* \(.*{said}.*; remove it, and"):
        read_features(path)


@pytest.mark.parametrize("suffix", [".shx", ".dbf"])
def test_a_file_of_another_shapefile_is_refused(tmp_path: Path, suffix: str) -> None:
    """As where only some of the files were copied again."""
    path = save(tmp_path / "town.shp")
    other = save(tmp_path / "other.shp", [shapely.box(0, 0, 1, 1).buffer(1), *BOXES[:3]])
    shutil.copy(other.with_suffix(suffix), path.with_suffix(suffix))
    with pytest.raises(VectorError, match=r"town\.shp: its \.shx belongs to another file or is"):
        read_features(path)


def test_the_way_out_that_is_told_gives_the_polygons_back(tmp_path: Path) -> None:
    path = save(tmp_path / "town.shp")
    path.with_suffix(".shx").unlink()  # "remove it, and save the shapes anew"
    pyogrio.set_gdal_config_options({"SHAPE_RESTORE_SHX": "YES"})
    try:
        again = pyogrio.read_dataframe(path)
    finally:
        pyogrio.set_gdal_config_options({"SHAPE_RESTORE_SHX": None})
    again.to_file(tmp_path / "town.gpkg")
    assert is_as_written(tmp_path / "town.gpkg")


def test_upper_case_names_are_found(tmp_path: Path) -> None:
    path = save(tmp_path / "town.shp")
    for part in list(tmp_path.iterdir()):
        part.rename(part.with_name(part.name.upper()))
    upper = path.with_name("TOWN.SHP")
    assert is_as_written(upper)
    index = upper.with_name("TOWN.SHX")
    index.write_bytes(index.read_bytes()[:-8])
    with pytest.raises(VectorError, match="cut short"):
        read_features(upper)


def test_shapes_need_no_attributes(tmp_path: Path) -> None:
    path = save(tmp_path / "town.shp")
    path.with_suffix(".dbf").unlink()
    assert shapely.equals(read_features(path).polygons, BOXES).all()


def test_a_shapefile_without_features_is_read(tmp_path: Path) -> None:
    assert read_features(save(tmp_path / "town.shp", [])).count == 0


def test_a_shapefile_that_was_edited_in_place_is_read(tmp_path: Path) -> None:
    """GDAL puts a shape that has grown at the end, out of order."""
    path = save(tmp_path / "town.shp")
    grown = shapely.box(0, 0, 1, 1).buffer(1)
    shapes = bytearray(path.read_bytes())
    index = bytearray(path.with_suffix(".shx").read_bytes())
    alone = save(tmp_path / "alone.shp", [grown]).read_bytes()[100:]
    index[100:108] = (len(shapes) // 2).to_bytes(4) + ((len(alone) - 8) // 2).to_bytes(4)
    shapes += alone
    shapes[24:28] = (len(shapes) // 2).to_bytes(4)
    path.write_bytes(shapes)
    path.with_suffix(".shx").write_bytes(index)
    found = read_features(path).polygons
    assert shapely.equals(found, [grown.normalize(), *BOXES[1:]]).all()
