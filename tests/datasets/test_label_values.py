from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geoseg.classes import CITYSCAPES, ClassScheme
from geoseg.datasets.label_values import write_label_values
from geoseg.errors import ConfigError, SourceError

Make = Callable[..., Path]

SCHEME = ClassScheme(("road", "roof"), ((0, 0, 255), (255, 0, 0)), ((1, 300), (7,)), ignore=(0, 9))


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
        with pytest.raises(SourceError, match="is no class raster of 2 classes"):
            write_label_values(raster, tmp_path / "a.png", SCHEME)
