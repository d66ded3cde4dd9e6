from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rasterio

from geoseg.datasets.bands import band_names, choose_bands, refuse_other_bands
from geoseg.errors import ConfigError, SourceError
from geoseg.raster import Source, open_raster


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


def test_names_that_occur_twice_are_no_names(make_raster: Callable[..., Path]) -> None:
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
    refuse_other_bands(first, source("a", "b", "c"))  # other names of the same bands, perhaps
    for names in (("red", "green"), ("red", "green", "nir", "blue"), ("nir", "red", "green")):
        with pytest.raises(
            SourceError,
            match=rf"has bands {', '.join(names)}, but .* has red, green, nir; bands are taken by",
        ):
            refuse_other_bands(first, source(*names))
