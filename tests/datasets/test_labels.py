from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from rasterio.transform import from_origin

from geoseg.classes import ISPRS, ClassScheme
from geoseg.datasets.labels import check_labels, find_labels, open_labels
from geoseg.datasets.polygon_labels import Polygons
from geoseg.errors import ConfigError, SourceError
from geoseg.raster import Source, open_raster
from geoseg.tiling import Window

Make = Callable[..., Path]
WHOLE = Window(0, 0, 64, 80)
SCHEME = ClassScheme(("background", "road"), ((0, 0, 0), (9, 9, 9)), ((3,), (7,)))


def test_the_suffix_says_whether_labels_are_polygons_or_a_raster(make_raster: Make) -> None:
    assert find_labels(Path("a.GPKG"), "kind") == Polygons(Path("a.GPKG"), "kind")
    assert isinstance(find_labels(make_raster(bands=1)), Source)
    with pytest.raises(
        ConfigError, match=r"attribute kind: goes with polygons, and a\.tif is a ras"
    ):
        find_labels(Path("a.tif"), "kind")


def test_values_colours_and_polygons_give_the_same_ids(make_raster: Make, tmp_path: Path) -> None:
    image = open_raster(make_raster())
    ids = np.zeros((64, 80), np.uint8)
    ids[8:40, 20:60] = 1
    box = shapely.box(500_010, 5_399_980, 500_030, 5_399_996)
    frame = geopandas.GeoDataFrame({"kind": ["Road"]}, geometry=[box], crs="EPSG:32632")
    frame.to_crs(4326).to_file(tmp_path / "roads.gpkg")
    colors = SCHEME.colors_from_ids(ids)
    paths = {
        make_raster("values.tif", data=(3 + 4 * ids)[None]): None,
        make_raster("colours.tif", data=colors): None,
        tmp_path / "roads.gpkg": "kind",
    }
    for path, attribute in paths.items():
        with open_labels(find_labels(path, attribute), image, SCHEME) as labels:
            found = labels.read(WHOLE, np.ones((64, 80), bool))
        np.testing.assert_array_equal(found, ids)


def test_unknown_values_are_refused_unless_they_are_to_be_counted(make_raster: Make) -> None:
    path = make_raster(data=np.full((1, 64, 80), 5, np.uint8))
    image = source = open_raster(path)
    with (
        open_labels(source, image, SCHEME) as labels,
        pytest.raises(SourceError, match=r"value 5 \(5,120 pixels\)"),
    ):
        labels.read(WHOLE)
    with open_labels(source, image, SCHEME, "count") as labels:
        assert (labels.read(WHOLE) == 255).all()


def test_labels_that_do_not_fit_the_image_are_refused(make_raster: Make) -> None:
    image = open_raster(make_raster())
    small = open_raster(make_raster("small.tif", bands=1, width=79))
    with pytest.raises(SourceError, match=r"do not lie on scene\.tif"):
        check_labels(small, image)
    with (
        pytest.raises(SourceError, match=r"do not lie on scene\.tif"),
        open_labels(small, image, ISPRS),
    ):
        pass


def test_the_file_is_closed_in_the_end(make_raster: Make) -> None:
    source = open_raster(make_raster(bands=1))
    with open_labels(source, source, SCHEME, "count") as labels:
        pass
    with pytest.raises(Exception, match=r"(?i)closed"):
        labels.read(WHOLE)


@pytest.mark.parametrize(("bands", "dtype"), [(2, "uint8"), (1, "float32"), (3, "uint16")])
def test_bands_that_are_neither_values_nor_colours_are_refused(
    make_raster: Make, bands: int, dtype: str
) -> None:
    source = open_raster(make_raster(bands=bands, dtype=dtype))
    with pytest.raises(
        SourceError, match=rf"{bands} band\(s\) of {dtype} are no labels; give one band"
    ):
        check_labels(source, source)
    for bands, dtype in ((1, "uint8"), (1, "int16"), (3, "uint8")):
        source = open_raster(make_raster(bands=bands, dtype=dtype))
        check_labels(source, source)


def test_polygons_need_an_image_that_says_where_it_lies(make_raster: Make) -> None:
    labels = Polygons(Path("a.gpkg"))
    check_labels(labels, open_raster(make_raster()))
    for name, place, needed in (
        ("no_crs", {"crs": None}, r"its coordinate system \(geoseg prepare --crs EPSG:N\)"),
        ("nowhere", {"crs": None, "transform": None}, "a world file"),
    ):
        image = open_raster(make_raster(f"{name}.tif", **place))
        with pytest.raises(
            SourceError, match=rf"has no place for the polygons of a.gpkg; give {needed}"
        ):
            check_labels(labels, image)


def test_labels_must_lie_on_the_image(make_raster: Make) -> None:
    image = open_raster(make_raster())
    bare = make_raster("bare.tif", bands=1, crs=None, transform=None)
    check_labels(open_raster(bare), image)
    check_labels(open_raster(make_raster("no_crs.tif", bands=1, crs=None)), image)
    with pytest.raises(
        SourceError,
        match=r"64 x 79 pixels .* do not lie on scene.tif .*give labels of the same pixels",
    ):
        check_labels(open_raster(make_raster("small.tif", bands=1, width=79)), image)
    elsewhere = from_origin(500_001.0, 5_400_000.0, 0.5, 0.5)
    moved = open_raster(make_raster("elsewhere.tif", bands=1, transform=elsewhere))
    with pytest.raises(SourceError, match=r"from \(500001, 5400000\) .* do not lie on scene.tif"):
        check_labels(moved, image)
    with pytest.raises(SourceError, match=r"do not lie on scene\.tif"):
        check_labels(open_raster(make_raster("a.tif", bands=1, crs="EPSG:32633")), image)
