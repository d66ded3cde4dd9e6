from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.transform import Affine

from geoseg.classes import ClassScheme
from geoseg.datasets.pairing import Pair
from geoseg.datasets.polygon_labels import Polygons
from geoseg.datasets.tiles import Tile
from geoseg.datasets.training_tiles import (
    band_names,
    check_values,
    choose_bands,
    choose_value_range,
    find_pairs,
    ground_sampling_warnings,
    median_ground_sampling,
    open_tiles,
    refuse_other_bands,
)
from geoseg.errors import ConfigError, SourceError
from geoseg.raster import Source, open_raster

MakeTile = Callable[..., Tile]
RGB = ("red", "green", "blue")


def entry(image: Path, labels: Path) -> tuple[Pair, None]:
    return Pair(image.stem, image, labels), None


@pytest.fixture
def source(make_raster: Callable[..., Path]) -> Source:
    """Four bands, the first two of which have names."""
    path = make_raster("four.tif", bands=4)
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("nir", "red", None, None)
        file.colorinterp = [rasterio.enums.ColorInterp.undefined] * 4
    return open_raster(path)


@pytest.mark.parametrize(
    ("given", "numbers", "names"),
    [
        (None, (1, 2, 3, 4), ("nir", "red", "band 3", "band 4")),
        ([2, 1], (2, 1), ("red", "nir")),
        (["red", "nir"], (2, 1), ("red", "nir")),
        (["p", "q", "s", "t"], (1, 2, 3, 4), ("p", "q", "s", "t")),
        ({"green": 3, "red": 2}, (3, 2), ("green", "red")),
    ],
)
def test_bands_are_found_by_name_number_or_order(
    source: Source, given: Any, numbers: Any, names: Any
) -> None:
    bands = choose_bands(given, source)
    assert (bands.numbers, bands.names) == (numbers, names)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["a", "b"], r"2 names for the 4 bands of .*four\.tif; say which is which, as \{a: 1"),
        ({"red": 0}, "bands count from 1"),
        (["a", "a", "b", "c"], "names must differ"),
        (
            {"red": 5},
            r"^data\.bands: \{'red': 5\} asks for band 5, but .*four\.tif has 4 \(nir, "
            r"red,.*choose among 1\.\.4$",
        ),
        ([1, 5], r"^data\.bands: \{'nir': 1, 'band 5': 5\} asks for band 5, but .*four\.tif has 4"),
    ],
)
def test_bands_that_would_have_to_be_guessed_are_refused(
    source: Source, given: Any, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        choose_bands(given, source)


def test_names_that_occur_twice_are_ignored(make_raster: Callable[..., Path]) -> None:
    path = make_raster(bands=3, photometric="MINISBLACK")
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("a", "a", "b")
    assert choose_bands(None, open_raster(path)).names == ("band 1", "band 2", "b")


def test_images_with_other_bands_or_another_order_are_refused(
    make_raster: Callable[..., Path],
) -> None:
    def source(*names: str) -> Source:
        path = make_raster(f"{'-'.join(names)}.tif", bands=len(names), photometric="MINISBLACK")
        with rasterio.open(path, "r+") as file:
            file.descriptions = names
        return open_raster(path)

    first = source("red", "green", "nir")
    assert band_names(first) == ["red", "green", "nir"]
    refuse_other_bands(first, first)
    refuse_other_bands(first, source("p", "q", "s"))  # other names of the same bands, perhaps
    for names in (("red", "green"), ("red", "green", "nir", "blue"), ("nir", "red", "green")):
        with pytest.raises(
            SourceError,
            match=rf"has bands {', '.join(names)}, but .* has red, green, nir; bands are taken by",
        ):
            refuse_other_bands(first, source(*names))


def test_names_that_the_descriptions_contradict_are_refused(
    make_raster: Callable[..., Path],
) -> None:
    path = make_raster()
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("red", "green", "blue")
    message = r"names its bands red, green, blue; .* as \{nir: 1, red: 2, green: 3\}"
    with pytest.raises(ConfigError, match=message):
        choose_bands(["nir", "red", "green"], open_raster(path))
    bands = choose_bands({"nir": 1, "red": 2, "green": 3}, open_raster(path))
    assert bands.numbers == (1, 2, 3)


def test_colours_contradict_no_name_that_a_config_gives(make_raster: Callable[..., Path]) -> None:
    alpha = make_raster("alpha.tif", bands=4)  # false-colour imagery is marked as red, green, blue
    assert choose_bands(["nir", "red", "green"], open_raster(alpha)).numbers == (1, 2, 3)


def test_images_that_describe_other_bands_are_refused(make_raster: Callable[..., Path]) -> None:
    sources = []
    for names in (("nir", "red", "green"), ("red", "green", "blue")):
        path = make_raster(f"{names[0]}.tif")
        with rasterio.open(path, "r+") as file:
            file.descriptions = names
        sources.append(open_raster(path))
    with pytest.raises(SourceError, match=r"has bands red, green, blue, but .* nir, red, green"):
        refuse_other_bands(*sources)


def test_a_later_image_without_the_bands_is_named_in_the_words_of_the_config(
    source: Source, make_raster: Callable[..., Path]
) -> None:
    other, labels = make_raster("other.tif", bands=3), make_raster("labels.tif", bands=1)
    with pytest.raises(
        ConfigError, match=r"^data\.bands: \{'nir': 4\} asks for band 4, but .*other\.tif has 3"
    ):
        open_tiles(
            [entry(source.path, labels), entry(other, labels)], choose_bands({"nir": 4}, source)
        )


def test_bytes_need_no_value_range_and_other_types_do(make_tile: MakeTile) -> None:
    plain = make_tile("a")
    deep = make_tile("b", image=np.ones((3, 64, 80), np.uint16))
    assert choose_value_range(None, [plain], RGB) == (0, 255)
    assert choose_value_range((0, 4095), [deep], RGB) == (0, 4095)
    with pytest.raises(ConfigError, match=r"data\.value_range: is missing, and .*b\.tif is uint16"):
        choose_value_range(None, [plain, deep], RGB)
    with pytest.raises(ConfigError, match="the first value must be below the second"):
        choose_value_range((1, 1), [plain], RGB)


def test_bands_may_have_ranges_of_their_own_by_name(make_tile: MakeTile) -> None:
    mixed, bands = make_tile("a", image=np.ones((3, 64, 80), np.float32)), ("red", "nir", "height")
    ranges = {"red": (0.0, 255.0), "nir": (0.0, 255.0), "height": (0.0, 60.0)}
    assert choose_value_range(ranges, [mixed], bands) == ((0, 255), (0, 255), (0, 60))
    assert choose_value_range({**ranges, "height": (0.0, 255.0)}, [mixed], bands) == (0, 255)
    assert choose_value_range({"height": (0, 9)}, [make_tile("b")], bands)[1:] == ((0, 255), (0, 9))
    with pytest.raises(ConfigError, match=r"is missing, and .*a\.tif is float32; give the range"):
        choose_value_range({"height": (0, 60)}, [mixed], bands)
    with pytest.raises(
        ConfigError, match="there is no band 'hight'; the bands are red, nir, height"
    ):
        choose_value_range({"hight": (0, 60)}, [mixed], bands)


def test_a_pair_that_two_patterns_name_counts_once(make_tile: MakeTile, tmp_path: Path) -> None:
    make_tile("a")
    make_tile("b")
    every = (str(tmp_path / "images/*.tif"), str(tmp_path / "labels/*.tif"), None, None)
    one = (str(tmp_path / "images/a.tif"), str(tmp_path / "labels/a.tif"), None, None)
    pairs = find_pairs([every, one])
    assert [pair.raster.stem for pair, *_ in pairs] == ["a", "b"]
    tiles = open_tiles(pairs, choose_bands([3, 1], open_raster(pairs[0][0].raster)))
    assert [tile.image.bands for tile in tiles] == [(3, 1), (3, 1)]
    assert median_ground_sampling(tiles) == pytest.approx(0.5)


def test_tiles_with_other_bands_or_another_order_are_refused(
    make_raster: Callable[..., Path],
) -> None:
    def pair(name: str, bands: int, names: tuple[str, ...]) -> tuple[Pair, None]:
        image = make_raster(f"images/{name}.tif", bands=bands, photometric="MINISBLACK")
        with rasterio.open(image, "r+") as file:
            file.descriptions = names
        return entry(image, make_raster(f"labels/{name}.tif", bands=1))

    first = pair("first", 3, ("red", "green", "nir"))
    bands = choose_bands(None, open_raster(first[0].raster))
    assert len(open_tiles([first, pair("unnamed", 3, ("p", "q", "s"))], bands)) == 2
    for names in (("red", "green", "nir", "blue"), ("nir", "red", "green")):
        with pytest.raises(
            SourceError,
            match=r"other\.tif: has bands .* but .*first\.tif has red, green, nir; bands",
        ):
            open_tiles([first, pair("other", len(names), names)], bands)


def test_images_of_different_ground_sampling_are_warned_about(make_tile: MakeTile) -> None:
    fine = make_tile("fine")
    wide = fine.image.transform @ Affine.scale(2)
    coarse = Tile(replace(fine.image, transform=wide), replace(fine.labels, transform=wide))
    assert ground_sampling_warnings([fine, fine]) == []
    assert ground_sampling_warnings([fine, coarse]) == [
        "training images differ in ground sampling, from 0.5 to 1 m per pixel"
    ]


def test_ground_sampling_stays_unknown_without_a_crs(make_raster: Callable[..., Path]) -> None:
    image = make_raster("plain.png", driver="PNG", crs=None, transform=None)
    tile = Tile(
        open_raster(image),
        open_raster(make_raster("l.png", bands=1, driver="PNG", crs=None, transform=None)),
    )
    assert median_ground_sampling([tile]) is None


def test_other_images_are_alike_up_to_a_quarter_and_the_median_counts(make_tile: MakeTile) -> None:
    fine = make_tile("fine")

    def scaled(factor: float) -> Tile:
        transform = fine.image.transform @ Affine.scale(factor)
        return Tile(
            replace(fine.image, transform=transform), replace(fine.labels, transform=transform)
        )

    assert ground_sampling_warnings([fine, scaled(1.24)]) == []
    assert len(ground_sampling_warnings([scaled(1.26), fine])) == 1
    assert median_ground_sampling([fine, scaled(4), scaled(2)]) == pytest.approx(1.0, rel=1e-3)


def test_polygons_come_with_their_attribute(make_tile: MakeTile, tmp_path: Path) -> None:
    make_tile("a")
    image = tmp_path / "images/a.tif"
    box = shapely.box(500_000, 5_399_990, 500_010, 5_400_000)
    frame = geopandas.GeoDataFrame({"kind": ["bright"]}, geometry=[box], crs="EPSG:32632")
    frame.to_file(tmp_path / "drawn.gpkg")
    pairs = find_pairs([(str(image), str(tmp_path / "drawn.gpkg"), "kind", "drawn")])
    (tile,) = open_tiles(pairs, choose_bands(None, open_raster(image)))
    assert tile.labels == Polygons(tmp_path / "drawn.gpkg", "kind", "drawn")
    raster = find_pairs([(str(image), str(tmp_path / "labels/a.tif"), "kind", None)])
    with pytest.raises(ConfigError, match=r"attribute kind: goes with polygons, and .*a\.tif is a"):
        open_tiles(raster, choose_bands(None, open_raster(image)))


def test_training_gets_the_same_batches_from_values_colours_and_polygons(
    make_raster: Callable[..., Path], tmp_path: Path
) -> None:
    from geoseg.training.patches import Patches
    from geoseg.training.recipe import Recipe

    scheme = ClassScheme(("background", "road"), ((1, 2, 3), (9, 9, 9)), ((0,), (7,)))
    ids = np.zeros((64, 80), np.uint8)
    ids[8:40, 20:60] = 1
    images = str(make_raster("image.tif"))
    make_raster("values.tif", data=7 * ids[None])
    make_raster("colours.tif", data=scheme.colors_from_ids(ids))
    box = shapely.box(500_010, 5_399_980, 500_030, 5_399_996)
    frame = geopandas.GeoDataFrame({"kind": ["road"]}, geometry=[box], crs="EPSG:32632")
    frame.to_crs(4326).to_file(tmp_path / "roads.gpkg")
    forms = [("values.tif", None), ("colours.tif", None), ("roads.gpkg", "kind")]
    recipe = Recipe(crop=16, workers=0, cache=0, seed=4)
    batches = []
    for name, attribute in forms:
        pairs = find_pairs([(images, str(tmp_path / name), attribute, None)])
        tiles = open_tiles(pairs, choose_bands(None, open_raster(images)))
        patches = Patches(tiles, scheme, recipe, (0, 255))
        batches.append([patches[number] for number in range(6)])
    for batch in batches[1:]:
        for expected, found in zip(batches[0], batch, strict=True):
            for one, other in zip(expected, found, strict=True):
                np.testing.assert_array_equal(one, other)
    assert len(np.unique(np.concatenate([patch[2] for patch in batches[0]]))) == 2


def test_undeclared_nodata_of_an_image_is_refused_and_the_key_of_the_config_helps(
    make_raster: Callable[..., Path],
) -> None:
    data = np.random.default_rng(0).uniform(0, 1, (3, 64, 80)).astype(np.float32)
    good = make_raster("good.tif", data=data)
    data[:, :9], data[:, 20:30] = -9999, -32768
    bad = make_raster("bad.tif", data=data)
    labels = make_raster("labels.tif", bands=1)
    bands = choose_bands(None, open_raster(good))
    pairs = [entry(image, labels) for image in (good, bad)]
    tiles = open_tiles(pairs, bands)
    with pytest.raises(SourceError, match=r"bad\.tif: .* far from all") as caught:
        check_values(tiles, (0, 1))
    assert "set data.nodata: [-32768,-9999];" in str(caught.value)
    tiles = open_tiles(pairs, bands, nodata=[-32768, -9999])
    assert check_values(tiles, (0, 1)) == []
    with tiles[1].image.open() as reader:
        _, valid = reader.read(0, 0, 64, 80)
    np.testing.assert_array_equal(valid, data[0] >= 0)


def test_a_collar_that_many_images_have_is_warned_of_once(make_tile: MakeTile) -> None:
    image = np.random.default_rng(0).integers(1, 255, (3, 64, 80)).astype(np.uint8)
    image[:, :40] = 0
    tiles = [make_tile(name, image=image) for name in "abc"]
    (line,) = check_values(tiles, (0, 255))
    assert re.match(r"2 more images are like this one: .*a\.tif: \d+% of its border is 0", line)
    assert "set data.nodata: [0], which" in line
    (line,) = check_values(tiles[:1], (0, 255))
    assert "a.tif: " in line
    assert check_values([], (0, 255)) == []
