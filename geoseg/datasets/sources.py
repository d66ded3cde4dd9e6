"""From what a config names to opened, checked tiles: files, bands, value range, ground sampling."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from geoseg.datasets.pairing import pair_files
from geoseg.datasets.tiles import Tile, open_tile
from geoseg.errors import ConfigError, SourceError
from geoseg.raster import Source, open_raster
from geoseg.raster.bands import order_by_name


@dataclass(frozen=True, slots=True)
class Bands:
    """Which bands of the files are used, in the network's order."""

    numbers: tuple[int, ...]
    """Bands in the files, counted from 1."""
    names: tuple[str, ...]
    """What they show."""


def find_pairs(rasters: Iterable[tuple[str, str]]) -> list[tuple[Path, Path]]:
    """Images with their labels, from ``(images, labels)`` patterns; a file that two patterns name counts once."""
    return list(
        dict.fromkeys(pair for images, labels in rasters for pair in pair_files(images, labels))
    )


def choose_bands(given: Sequence[int | str] | Mapping[str, int] | None, source: Source) -> Bands:
    """The bands that a config means, looked up in one of its images.

    Args:
        given: names of the bands to take, ``{name: number}``, numbers, or None for all. Names that the file itself
            does not know are given to its bands in their order.
        source: an image opened with all its bands.

    Raises:
        ConfigError: names and bands do not agree in number, a name is given twice, or the image lacks a band.
    """
    own_names = tuple(
        name if name != "undefined" and source.band_names.count(name) == 1 else f"band {number}"
        for number, name in zip(source.bands, source.band_names, strict=True)
    )
    if given is None:
        return Bands(source.bands, own_names)
    if isinstance(given, Mapping):
        return _checked(tuple(given.values()), tuple(given), source)
    if all(isinstance(band, int) for band in given):
        by_number = dict(zip(source.bands, own_names, strict=True))
        numbers = tuple(map(int, given))
        return _checked(
            numbers, tuple(by_number.get(number, f"band {number}") for number in numbers), source
        )
    names = tuple(map(str, given))
    order = order_by_name(names, source.file_bands)
    if order is None and len(names) != len(source.bands):
        raise ConfigError(
            f"data.bands: {len(names)} names for the {len(source.bands)} bands of {source.path}; "
            f"say which is which, as {{{names[0]}: 1, ...}}"
        )
    return _checked(source.bands if order is None else order, names, source)


def _checked(numbers: tuple[int, ...], names: tuple[str, ...], source: Source) -> Bands:
    if not numbers or min(numbers) < 1 or len(set(names)) != len(names):
        raise ConfigError(
            f"data.bands: {dict(zip(names, numbers, strict=True))}; bands count from 1, names must differ"
        )
    bands = Bands(numbers, names)
    _refuse_lacking(bands, source)
    return bands


def _refuse_lacking(bands: Bands, source: Source) -> None:
    """Refuse bands that a file does not have.

    Raises:
        ConfigError: it has fewer.
    """
    have = len(source.file_bands)
    if max(bands.numbers) > have:
        raise ConfigError(
            f"data.bands: {dict(zip(bands.names, bands.numbers, strict=True))} asks for band {max(bands.numbers)}, but "
            f"{source.path} has {have} ({', '.join(_all_bands(source))}); choose among 1..{have}"
        )


def open_tiles(pairs: Iterable[tuple[Path, Path]], bands: Bands) -> list[Tile]:
    """Every pair, its files checked.

    Raises:
        ConfigError: an image lacks one of the bands.
        SourceError: a file cannot be read, an image and its labels do not fit together, or an image has more or fewer
            bands than the first one, or the same ones in another order.
    """
    tiles = []
    for image, labels in pairs:
        try:
            tiles.append(open_tile(image, labels, bands.numbers))
        except SourceError:
            _refuse_lacking(bands, open_raster(image))  # which speaks of the config
            raise
    for tile in tiles:
        (first, its), (other, own) = (
            (each.image, _all_bands(each.image)) for each in (tiles[0], tile)
        )
        if len(own) != len(its) or (own != its and sorted(own) == sorted(its)):
            raise SourceError(
                f"{other.path}: has bands {', '.join(own)}, but {first.path} has {', '.join(its)}; "
                "bands are taken by number, so all images need the same ones in the same order"
            )
    return tiles


def _all_bands(image: Source) -> list[str]:
    """The names of all bands of the file."""
    return [band.name for band in image.file_bands]


def choose_value_range(
    given: tuple[float, float] | None, tiles: Sequence[Tile]
) -> tuple[float, float]:
    """The value range that a config means: uint8 speaks for itself, other types must be told.

    Raises:
        ConfigError: it is needed and not given, or empty.
    """
    if given is None:
        other = next((tile.image for tile in tiles if tile.image.dtype != "uint8"), None)
        if other is not None:
            raise ConfigError(
                f"data.value_range: is missing, and {other.path} is {other.dtype}; give the range of its values, "
                "as [0, 10000]"
            )
        return 0.0, 255.0
    if not given[0] < given[1]:
        raise ConfigError(
            f"data.value_range: {list(given)}; the first value must be below the second"
        )
    return given


def typical_sampling(tiles: Iterable[Tile]) -> float | None:
    """Median ground sampling of the images in metres; None where none is georeferenced."""
    known = _samplings(tiles)
    return statistics.median(known) if known else None


def sampling_warnings(tiles: Iterable[Tile]) -> list[str]:
    """A warning where the images differ more in ground sampling than prediction would let pass unremarked."""
    known = _samplings(tiles)
    if not known or max(known) <= 1.25 * min(known):
        return []
    return [
        f"training images differ in ground sampling, from {min(known):.3g} to {max(known):.3g} m a pixel"
    ]


def absent_warnings(names: Sequence[str], class_counts: Iterable[int]) -> list[str]:
    """A warning where classes never occur in the training labels: nothing can be learnt of them."""
    absent = [name for name, count in zip(names, class_counts, strict=True) if not count]
    if not absent:
        return []
    return [
        f"no training pixel shows {', '.join(absent)}: not learnt; check data.classes and the labels of data.train"
    ]


def _samplings(tiles: Iterable[Tile]) -> list[float]:
    found = (tile.image.ground_sampling for tile in tiles)
    return [sampling for sampling in found if sampling is not None]
