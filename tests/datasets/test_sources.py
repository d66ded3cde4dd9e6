from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from geoseg.datasets.sources import (
    choose_bands,
    choose_value_range,
    find_pairs,
    open_tiles,
    sampling_warnings,
    typical_sampling,
)
from geoseg.datasets.tiles import Tile
from geoseg.errors import ConfigError, SourceError
from geoseg.raster import Source, open_raster

MakeTile = Callable[..., Tile]


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
        (["a", "b", "c", "d"], (1, 2, 3, 4), ("a", "b", "c", "d")),
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
            r"^data\.bands: \{'red': 5\} asks for band 5, but .*four\.tif has 4 \(nir, red,.*choose among 1\.\.4$",
        ),
        ([1, 5], r"^data\.bands: \{'nir': 1, 'band 5': 5\} asks for band 5, but .*four\.tif has 4"),
    ],
)
def test_bands_that_would_have_to_be_guessed_are_refused(
    source: Source, given: Any, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        choose_bands(given, source)


def test_a_later_image_without_the_bands_is_named_in_the_words_of_the_config(
    source: Source, make_raster: Callable[..., Path]
) -> None:
    other, labels = make_raster("other.tif", bands=3), make_raster("labels.tif", bands=1)
    with pytest.raises(
        ConfigError, match=r"^data\.bands: \{'nir': 4\} asks for band 4, but .*other\.tif has 3"
    ):
        open_tiles([(source.path, labels), (other, labels)], choose_bands({"nir": 4}, source))


def test_bytes_speak_for_themselves_and_other_types_do_not(make_tile: MakeTile) -> None:
    plain = make_tile("a")
    deep = make_tile("b", image=np.ones((3, 64, 80), np.uint16))
    assert choose_value_range(None, [plain]) == (0, 255)
    assert choose_value_range((0, 4095), [deep]) == (0, 4095)
    with pytest.raises(ConfigError, match=r"data\.value_range: is missing, and .*b\.tif is uint16"):
        choose_value_range(None, [plain, deep])
    with pytest.raises(ConfigError, match="the first value must be below the second"):
        choose_value_range((1, 1), [plain])


def test_a_pair_that_two_patterns_name_counts_once(make_tile: MakeTile, tmp_path: Path) -> None:
    make_tile("a")
    make_tile("b")
    every = (str(tmp_path / "images/*.tif"), str(tmp_path / "labels/*.tif"))
    one = (str(tmp_path / "images/a.tif"), str(tmp_path / "labels/a.tif"))
    pairs = find_pairs([every, one])
    assert [image.stem for image, _ in pairs] == ["a", "b"]
    tiles = open_tiles(pairs, choose_bands([3, 1], open_raster(pairs[0][0])))
    assert [tile.image.bands for tile in tiles] == [(3, 1), (3, 1)]
    assert typical_sampling(tiles) == pytest.approx(0.5)


def test_images_with_other_bands_or_another_order_are_refused(
    make_raster: Callable[..., Path],
) -> None:
    def pair(name: str, bands: int, names: tuple[str, ...]) -> tuple[Path, Path]:
        image = make_raster(f"images/{name}.tif", bands=bands, photometric="MINISBLACK")
        with rasterio.open(image, "r+") as file:
            file.descriptions = names
        return image, make_raster(f"labels/{name}.tif", bands=1)

    first = pair("first", 3, ("red", "green", "nir"))
    bands = choose_bands(None, open_raster(first[0]))
    assert len(open_tiles([first, pair("unnamed", 3, ("a", "b", "c"))], bands)) == 2
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
    assert sampling_warnings([fine, fine]) == []
    assert sampling_warnings([fine, coarse]) == [
        "training images differ in ground sampling, from 0.5 to 1 m a pixel"
    ]


def test_ground_sampling_stays_unknown_without_a_crs(make_raster: Callable[..., Path]) -> None:
    image = make_raster("plain.png", driver="PNG", crs=None, transform=None)
    tile = Tile(
        open_raster(image),
        open_raster(make_raster("l.png", bands=1, driver="PNG", crs=None, transform=None)),
    )
    assert typical_sampling([tile]) is None
