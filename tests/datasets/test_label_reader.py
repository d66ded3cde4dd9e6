from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geoseg.classes import CITYSCAPES, ISPRS, ClassScheme
from geoseg.datasets.label_reader import LabelReader, hidden_warnings
from geoseg.datasets.label_values import write_label_values
from geoseg.errors import ConfigError, SourceError
from geoseg.raster import open_raster

Make = Callable[..., Path]

SCHEME = ClassScheme(("road", "roof"), ((0, 0, 255), (255, 0, 0)), ((1, 300), (7,)), ignore=(0, 9))


def read(path: Path, scheme: ClassScheme) -> np.ndarray:
    source = open_raster(path)
    with LabelReader(source, scheme) as reader:
        return reader.read(0, 0, source.height, source.width)


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
        return hidden_warnings(map(open_raster, files), scheme)

    values, colors = np.ones((1, 2, 2), np.uint8), np.full((3, 2, 2), 255, np.uint8)
    (line,) = warned(values, SCHEME, 0, 7, None, 1)
    assert (
        "1.tif: declares 7 as nodata (and so do 1 more), which is class 'roof': its pixels count as unlab"
        in line
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
def test_strange_values_are_counted_and_refused(make_raster: Make, dtype: str) -> None:
    values = np.array([[[1, 2, 2, 3, 4, 5, 7]]], dtype)
    message = r"rows 0 to 0 hold value 2 \(2 pixels\), 3 \(1 pixels\), 4 \(1 pixels\) and 1 more, .* have 1, 300, 7: give"
    with pytest.raises(SourceError, match=message):
        read(make_raster(data=values), SCHEME)


def test_strange_colours_are_counted_and_refused(make_raster: Make) -> None:
    colors = np.zeros((3, 1, 4), np.uint8)
    colors[:, 0, :3] = np.array([[255, 204, 0]]).T
    with pytest.raises(
        SourceError,
        match=r"hold colour 255,204,0 \(3 pixels\), .* the classes have 255,255,255, 0,0,255",
    ):
        read(make_raster(data=colors), ISPRS)


@pytest.mark.parametrize(("bands", "dtype"), [(2, "uint8"), (1, "float32"), (3, "uint16")])
def test_what_is_no_labels_is_refused(make_raster: Make, bands: int, dtype: str) -> None:
    with pytest.raises(
        SourceError, match=rf"{bands} band\(s\) of {dtype} are no labels; give one band"
    ):
        read(make_raster(bands=bands, dtype=dtype), SCHEME)


def test_label_values_read_back_as_the_ids(make_raster: Make, tmp_path: Path) -> None:
    ids = np.random.default_rng(0).choice(np.array([*range(19), 254, 255], np.uint8), (20, 30))
    out = write_label_values(
        make_raster(data=ids[None], nodata=255), tmp_path / "server/a.png", CITYSCAPES
    )
    np.testing.assert_array_equal(read(out, CITYSCAPES), np.where(ids == 254, 255, ids))
    with rasterio.open(out) as file:
        values = file.read(1)
        assert (file.driver, file.count, file.dtypes) == ("PNG", 1, ("uint8",))
    assert set(values[ids < 254].tolist()) <= {
        value for values in CITYSCAPES.values for value in values
    }
    assert set(values[ids >= 254].tolist()) == {0}


def test_label_values_of_other_classes_are_refused(make_raster: Make, tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match="is no class raster of 2 classes; give one that was made with them"
    ):
        write_label_values(
            make_raster(data=np.full((1, 2, 2), 2, np.uint8)), tmp_path / "a.png", SCHEME
        )
    with pytest.raises(SourceError, match="is no class raster of 2 classes"):
        write_label_values(make_raster(bands=3), tmp_path / "a.png", SCHEME)
    high = ClassScheme(("road", "roof"), ((0, 0, 255), (255, 0, 0)), ((300,), (7,)))
    with pytest.raises(
        ConfigError,
        match="label value 300 does not fit into a byte; give classes with values of 0 to",
    ):
        write_label_values(make_raster(bands=1), tmp_path / "a.png", high)
