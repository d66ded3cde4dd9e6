from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geoseg.classes import CITYSCAPES, ISPRS, ClassScheme
from geoseg.datasets.raster_labels import (
    Policy,
    RasterLabels,
    UnknownValues,
    nodata_warnings,
    write_label_values,
)
from geoseg.errors import ConfigError, SourceError
from geoseg.raster import open_raster
from geoseg.tiling import Window


def unknown(policy: Policy = "count", kind: str = "value") -> UnknownValues:
    return UnknownValues(Path("gt.tif"), kind, "0, 1", policy)


def test_refusing_names_the_rows_and_the_most_frequent_values() -> None:
    message = (
        r"^gt\.tif: rows 5 to 14 hold value 9 \(1,200 pixels\), 7 \(3 pixels\), 8 \(2 pixels\) and "
        r"1 "
        r"more, which no class has and which is not ignored; the classes have 0, 1: add it to the "
        r"classes or to ignore, or correct the labels$"
    )
    with pytest.raises(SourceError, match=message):
        unknown("refuse").add({"6": 1, "8": 2, "9": 1200, "7": 3}, 5, 10, 200)
    unknown("refuse").add({}, 0, 10, 10)


def test_up_to_one_percent_of_all_pixels_is_reported() -> None:
    found = unknown(kind="colour")
    assert found.warning() is None
    found.add({"1,2,3": 3}, 0, 2, 100)
    found.add({"1,2,3": 1, "4,5,6": 6}, 2, 8, 100)
    assert found.warning() == (
        "gt.tif: colour 4,5,6 (6 pixels), 1,2,3 (4 pixels) belongs to no class; these pixels are "
        "left unlabelled"
    )


def test_more_than_one_percent_is_refused() -> None:
    found = unknown()
    found.add({"9": 11}, 0, 10, 100)
    with pytest.raises(SourceError, match=r"^gt.tif: value 9 \(11 pixels\), which no class has"):
        found.warning()


def test_more_than_a_thousand_values_are_an_image() -> None:
    found = unknown(kind="colour")
    found.add({str(number): 1 for number in range(1000)}, 0, 1000, 1000)
    assert "and 997 more belongs to no class" in str(found.warning())
    found.add({"one more": 1}, 0, 1, 1)
    with pytest.raises(SourceError, match="holds 1,001 colours that no class has, as an image"):
        found.warning()


Make = Callable[..., Path]

SCHEME = ClassScheme(("road", "roof"), ((0, 0, 255), (255, 0, 0)), ((1, 300), (7,)), ignore=(0, 9))


def read(path: Path, scheme: ClassScheme) -> np.ndarray:
    source = open_raster(path)
    labels = RasterLabels(source, scheme, "refuse")
    ids = labels.read(Window(0, 0, source.height, source.width))
    labels.close()
    return ids


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32"])
def test_values_become_ids_and_ignored_ones_255(make_raster: Make, dtype: str) -> None:
    values = np.array([[[1, 7, 0], [9, 1, 7]]], dtype)
    assert read(make_raster(data=values), SCHEME).tolist() == [[0, 1, 255], [255, 0, 1]]


def test_values_beyond_a_byte_and_nodata_are_read(make_raster: Make) -> None:
    values = np.array([[[300, 7, 555]]], np.uint16)
    assert read(make_raster(data=values, nodata=555), SCHEME).tolist() == [[0, 1, 255]]


def test_a_nodata_value_that_is_a_class_is_warned_of(make_raster: Make) -> None:
    def warned(values: np.ndarray, scheme: ClassScheme, *nodata: float | None) -> list[str]:
        files = (
            make_raster(f"{place}.tif", data=values, nodata=value)
            for place, value in enumerate(nodata)
        )
        return nodata_warnings(map(open_raster, files), scheme)

    values, colors = np.ones((1, 2, 2), np.uint8), np.full((3, 2, 2), 255, np.uint8)
    (line,) = warned(values, SCHEME, 0, 7, None, 1)
    assert (
        "1.tif: declares 7 as nodata (and so do 1 more), which is class 'roof': its pixels count "
        "as unlab" in line
    )
    assert warned(values, SCHEME, 0, 9, 255, None) == []
    assert (
        "declares 255 as nodata, which is class 'impervious surfaces'"
        in warned(colors, ISPRS, 255)[0]
    )
    assert warned(colors, ISPRS, 0) == []


def test_colours_become_ids_and_black_255(make_raster: Make) -> None:
    ids = np.random.default_rng(0).choice(np.array([0, 1, 2, 3, 4, 5, 255], np.uint8), (20, 30))
    np.testing.assert_array_equal(read(make_raster(data=ISPRS.colors_from_ids(ids)), ISPRS), ids)
    black = ClassScheme(("night", "day"), ((0, 0, 0), (255, 255, 255)), ((0,), (1,)))
    assert read(make_raster(data=np.zeros((3, 1, 2), np.uint8)), black).tolist() == [[0, 0]]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_unknown_values_are_counted_and_refused(make_raster: Make, dtype: str) -> None:
    values = np.array([[[1, 2, 2, 3, 4, 5, 7]]], dtype)
    message = (
        r"rows 0 to 0 hold value 2 \(2 pixels\), 3 \(1 pixels\), 4 \(1 pixels\) and 1 more, .* "
        r"have "
        r"1, 300, 7: add it to the classes or to ignore, or correct the labels"
    )
    with pytest.raises(SourceError, match=message):
        read(make_raster(data=values), SCHEME)


def test_unknown_colours_are_counted_and_refused(make_raster: Make) -> None:
    colors = np.zeros((3, 1, 4), np.uint8)
    colors[:, 0, :3] = np.array([[255, 204, 0]]).T
    with pytest.raises(
        SourceError,
        match=r"hold colour 255,204,0 \(3 pixels\), .* the classes have 255,255,255, 0,0,255",
    ):
        read(make_raster(data=colors), ISPRS)


def test_windows_give_what_the_whole_gives_and_refuse_by_their_own_rows(make_raster: Make) -> None:
    values = np.random.default_rng(0).choice([1, 7, 9], (1, 30, 20)).astype(np.uint8)
    values[0, 25, 3] = 77
    source = open_raster(make_raster(data=values))
    labels = RasterLabels(source, SCHEME, "refuse")
    expected = SCHEME.ids_from_values(values[0])[0]
    np.testing.assert_array_equal(labels.read(Window(3, 5, 10, 7)), expected[3:13, 5:12])
    with pytest.raises(SourceError, match=r"rows 20 to 29 hold value 77 \(1 pixels\)"):
        labels.read(Window(20, 0, 10, 20))


def test_unknown_colours_are_counted_where_that_is_the_policy(make_raster: Make) -> None:
    rgb = ISPRS.colors_from_ids(np.full((64, 80), 4, np.uint8))
    rgb[:, 0, :20] = np.array([252, 255, 0])[:, None]
    rgb[:, 40, :3] = np.array([1, 2, 3])[:, None]
    labels = RasterLabels(open_raster(make_raster(data=rgb)), ISPRS, "count")
    ids = np.vstack([labels.read(Window(row, 0, 32, 80)) for row in (0, 32)])
    unknown = (rgb != np.array([255, 255, 0])[:, None, None]).any(axis=0)
    np.testing.assert_array_equal(ids, np.where(unknown, 255, 4))
    assert labels.unknown.counts == {"252,255,0": 20, "1,2,3": 3}
    assert labels.unknown.pixels_read == 64 * 80


def test_nodata_pixels_are_not_unknown_values(make_raster: Make) -> None:
    for dtype in (np.uint8, np.int16):
        values = np.array([[[1, 99, 7]]], dtype)
        assert read(make_raster(data=values, nodata=99), SCHEME).tolist() == [[0, 255, 1]]


def test_many_classes_are_shown_in_part(make_raster: Make) -> None:
    scheme = ClassScheme.from_names([f"c{n}" for n in range(23)])
    with pytest.raises(SourceError, match=r"classes have 0, 1, .*, 19 and 3 more: add"):
        read(make_raster(data=np.full((1, 2, 2), 99, np.uint8)), scheme)


def ids_in(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return CITYSCAPES.ids_from_values(file.read(1))[0]


def test_label_values_read_back_as_the_ids(make_raster: Make, tmp_path: Path) -> None:
    ids = np.random.default_rng(0).choice(np.array([*range(19), 254, 255], np.uint8), (20, 30))
    out = write_label_values(
        make_raster(data=ids[None], nodata=255), tmp_path / "server/a.png", CITYSCAPES
    )
    np.testing.assert_array_equal(ids_in(out), np.where(ids == 254, 255, ids))
    with rasterio.open(out) as file:
        values = file.read(1)
        assert (file.driver, file.count, file.dtypes) == ("PNG", 1, ("uint8",))
    assert set(values[ids < 254].tolist()) <= {
        value for values in CITYSCAPES.values for value in values
    }
    assert set(values[ids >= 254].tolist()) == {0}


def test_label_values_of_other_classes_are_refused(make_raster: Make, tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match="is not a class raster of 2 classes; give one made with them"
    ):
        write_label_values(
            make_raster(data=np.full((1, 2, 2), 2, np.uint8)), tmp_path / "a.png", SCHEME
        )
    with pytest.raises(SourceError, match="is not a class raster of 2 classes"):
        write_label_values(make_raster(bands=3), tmp_path / "a.png", SCHEME)
    high = ClassScheme(("road", "roof"), ((0, 0, 255), (255, 0, 0)), ((300,), (7,)))
    with pytest.raises(
        ConfigError,
        match="label value 300 does not fit into a byte; give classes with values of 0 to",
    ):
        write_label_values(make_raster(bands=1), tmp_path / "a.png", high)


def test_pixels_without_a_class_get_the_least_ignored_value_that_a_byte_holds(
    make_raster: Make, tmp_path: Path
) -> None:
    raster = make_raster(data=np.array([[[0, 1, 7, 255, 254]]], np.uint8), nodata=7)
    for ignore, expected in (((9, 3, -1), 3), ((9, 2, -1), 2), ((-1, 999), 255), ((), 255)):
        scheme = ClassScheme(SCHEME.names, SCHEME.colors, ((4, 300), (0,)), ignore)
        with rasterio.open(write_label_values(raster, tmp_path / "a.png", scheme)) as file:
            assert file.read(1).tolist() == [[4, 0, expected, expected, expected]]
    high = ClassScheme(("a", "b"), SCHEME.colors, ((255,), (-1,)), ())
    with pytest.raises(ConfigError, match="label value -1 does not fit into a byte"):
        write_label_values(raster, tmp_path / "a.png", high)


def test_ids_beyond_the_classes_or_of_another_type_are_refused(
    make_raster: Make, tmp_path: Path
) -> None:
    for dtype, value in ((np.uint8, 253), (np.uint16, 1)):
        raster = make_raster(data=np.full((1, 2, 2), value, dtype))
        with pytest.raises(SourceError, match="is not a class raster of 2 classes"):
            write_label_values(raster, tmp_path / "a.png", SCHEME)
