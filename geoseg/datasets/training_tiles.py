"""All tiles of a training: found, opened, checked against one another."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from geoseg.datasets.bands import Bands, refuse_other_bands
from geoseg.datasets.pairing import Pair, pair_all
from geoseg.datasets.tiles import Tile, open_tile
from geoseg.errors import ConfigError, SourceError
from geoseg.raster import open_raster

_ALIKE = 1.25
"""Ratio of ground samplings. `predict` warns where an image differs more from the model's."""


def find_pairs(
    rasters: Iterable[tuple[str, str, str | None]],
) -> list[tuple[Pair, str | None]]:
    """Images with their labels, and the attribute of polygons that holds the class.

    Args:
        rasters: images, labels and attribute as a config names them; see `pairing`. A pair that is
            named twice counts once.

    Raises:
        ConfigError: nothing is found, or a file has no partner or several.
    """
    found: dict[tuple[str, str], tuple[Pair, str | None]] = {}
    for images, labels, attribute in rasters:
        for pair in pair_all(images, labels):
            found.setdefault((str(pair.raster), str(pair.labels)), (pair, attribute))
    return list(found.values())


def open_tiles(pairs: Iterable[tuple[Pair, str | None]], bands: Bands) -> list[Tile]:
    """Every pair as a tile, its files checked.

    Raises:
        ConfigError: an image lacks one of the bands, or an attribute is given for a label raster.
        SourceError: a file cannot be read, an image and its labels do not fit together, or an image
            has other bands than the first one.
    """
    tiles: list[Tile] = []
    for pair, attribute in pairs:
        try:
            tiles.append(open_tile(pair.raster, pair.labels, bands.numbers, attribute))
        except SourceError:
            bands.refuse_missing(open_raster(pair.raster))  # which names the key of the config
            raise
    for tile in tiles:
        refuse_other_bands(tiles[0].image, tile.image)
    return tiles


def choose_value_range(
    given: tuple[float, float] | None, tiles: Sequence[Tile]
) -> tuple[float, float]:
    """The value range that a config means: that of uint8 is known, others must be given.

    Raises:
        ConfigError: it is needed and not given, or empty.
    """
    if given is not None:
        if not given[0] < given[1]:
            raise ConfigError(
                f"data.value_range: {list(given)}; the first value must be below the second"
            )
        return given
    for tile in tiles:
        if tile.image.dtype != "uint8":
            raise ConfigError(
                f"data.value_range: is missing, and {tile.image.path} is {tile.image.dtype}; give "
                "the range of its values, as [0, 10000]"
            )
    return 0.0, 255.0


def median_ground_sampling(tiles: Iterable[Tile]) -> float | None:
    """Median ground sampling of the images in metres; None where none is georeferenced."""
    known = _ground_samplings(tiles)
    return statistics.median(known) if known else None


def ground_sampling_warnings(tiles: Iterable[Tile]) -> list[str]:
    """A warning where the images differ in ground sampling more than `predict` accepts silently."""
    known = _ground_samplings(tiles)
    if not known or max(known) <= _ALIKE * min(known):
        return []
    return [
        f"training images differ in ground sampling, from {min(known):.3g} to {max(known):.3g} m a "
        "pixel"
    ]


def _ground_samplings(tiles: Iterable[Tile]) -> list[float]:
    found = (tile.image.ground_sampling for tile in tiles)
    return [sampling for sampling in found if sampling is not None]
