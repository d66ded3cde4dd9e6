"""The tiles of a training and their bands: found, opened, checked against one another."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from geoseg.datasets.pairing import Pair, pair_all, with_companions
from geoseg.datasets.tiles import Tile, open_tile
from geoseg.errors import ConfigError, SourceError
from geoseg.raster import TRAIN, Source, check_image, stack
from geoseg.raster.bands import descriptions_contradict, order_by_name
from geoseg.report import shorten
from geoseg.value_ranges import Range, ValueRange, shortest


@dataclass(frozen=True, slots=True)
class Bands:
    """Bands in the network's order."""

    numbers: tuple[int, ...]
    """Bands in the files, counted from 1."""
    names: tuple[str, ...]
    """What they show."""

    def refuse_missing(self, source: Source) -> None:
        """Refuse a file that lacks one of the bands.

        Raises:
            ConfigError: it has fewer.
        """
        known = band_names(source)
        if max(self.numbers) > len(known):
            wanted = dict(zip(self.names, self.numbers, strict=True))
            raise ConfigError(
                f"data.bands: {wanted} asks for band {max(self.numbers)}, but {source.path} has "
                f"{len(known)} ({shorten(known, 20)}); choose among 1..{len(known)}"
            )


def choose_bands(given: Sequence[int | str] | Mapping[str, int] | None, source: Source) -> Bands:
    """The bands that a config means, looked up in one of its images.

    Args:
        given: names of the bands to take, ``{name: number}``, numbers, or None for all. Names that
            the file itself does not know are given to its bands in their order.
        source: an image opened with all its bands.

    Raises:
        ConfigError: names and bands do not agree in number, a name is given twice, the image
            lacks a band, or describes one as another of the names.
    """
    names_in_file = tuple(
        name if name != "undefined" and source.band_names.count(name) == 1 else f"band {number}"
        for number, name in zip(source.bands, source.band_names, strict=True)
    )
    if given is None:
        return Bands(source.bands, names_in_file)
    if isinstance(given, Mapping):
        return _checked(tuple(given.values()), tuple(given), source)
    if all(isinstance(band, int) for band in given):
        numbers = tuple(map(int, given))
        known = dict(zip(source.bands, names_in_file, strict=True))
        names = tuple(known.get(number, f"band {number}") for number in numbers)
        return _checked(numbers, names, source)
    names = tuple(map(str, given))
    order = order_by_name(names, source.file_bands)
    if order is None and len(names) != len(source.bands):
        raise ConfigError(
            f"data.bands: {len(names)} names for the {len(source.bands)} bands of {source.path}; "
            f"say which is which, as {{{names[0]}: 1, ...}}"
        )
    imagery = [source.file_bands[band - 1] for band in source.bands]
    if order is None and descriptions_contradict(names, imagery):
        numbered = zip(names, source.bands, strict=True)
        as_numbers = ", ".join(f"{name}: {band}" for name, band in numbered)
        raise ConfigError(
            f"data.bands: {shorten(names, 20)}, but {source.path} names its bands "
            f"{shorten(band_names(source), 20)}; take its names, "
            f"or say which is which, as {{{as_numbers}}}"
        )
    return _checked(source.bands if order is None else order, names, source)


def refuse_other_bands(first: Source, other: Source) -> None:
    """Refuse an image whose bands are not those of the first one.

    Raises:
        SourceError: it has more or fewer, the same ones in another order, or describes others.
    """
    expected, found = band_names(first), band_names(other)
    reordered = found != expected and sorted(found) == sorted(expected)
    descriptions = [band.description for band in first.file_bands]
    if (
        len(found) != len(expected)
        or reordered
        or descriptions_contradict(descriptions, other.file_bands)
    ):
        raise SourceError(
            f"{other.path}: has bands {shorten(found, 20)}, but {first.path} has "
            f"{shorten(expected, 20)}; bands are taken by number, so all images need the same ones "
            "in the same order"
        )


def band_names(source: Source) -> list[str]:
    """The names of all bands of the file."""
    return [band.name for band in source.file_bands]


def _checked(numbers: tuple[int, ...], names: tuple[str, ...], source: Source) -> Bands:
    if not numbers or min(numbers) < 1 or len(set(names)) != len(names):
        raise ConfigError(
            f"data.bands: {dict(zip(names, numbers, strict=True))}; bands count from 1, names must "
            "differ"
        )
    bands = Bands(numbers, names)
    bands.refuse_missing(source)
    return bands


LabelledImage = tuple[Pair, str | None, str | None]
"""A pair with the attribute and the layer of its polygons."""

_LOOKED_AT = 64
"""Images whose values are looked at before all of them are read."""
_ALIKE = 1.25
"""Ratio of ground samplings. `predict` warns where an image differs more from the model's."""


def find_pairs(
    rasters: Iterable[tuple[str | Sequence[str], str, str | None, str | None]],
) -> list[LabelledImage]:
    """Images with their labels, and the attribute and the layer of polygons.

    Args:
        rasters: images, labels, attribute and layer as a config names them; see `pairing`. A pair
            that is named twice counts once.

    Raises:
        ConfigError: nothing is found, or a file has no partner or several.
    """
    found: dict[tuple[str, str], LabelledImage] = {}
    for given, labels, attribute, layer in rasters:
        images = [given] if isinstance(given, str) else given
        for pair in with_companions(pair_all(images[0], labels), images):
            found.setdefault((str(pair.raster), str(pair.labels)), (pair, attribute, layer))
    return list(found.values())


def open_image(pair: Pair) -> Source:
    """The image of a pair with all its bands.

    Raises:
        SourceError: a file cannot be read.
    """
    return stack([pair.raster, *pair.companions])


def open_tiles(
    pairs: Iterable[LabelledImage], bands: Bands, nodata: Sequence[float] = ()
) -> list[Tile]:
    """Every pair as a tile, its files checked.

    Args:
        pairs: images with their labels.
        bands: those of the images that are read.
        nodata: values of the images that mean no data, in place of what they declare.

    Raises:
        ConfigError: an image lacks one of the bands, or an attribute or a layer is given for a
            label raster.
        SourceError: a file cannot be read, an image and its labels do not fit together, or an image
            has other bands than the first one.
    """
    tiles: list[Tile] = []
    for pair, *polygons in pairs:
        try:
            files = [pair.raster, *pair.companions]
            tiles.append(open_tile(files, pair.labels, bands.numbers, *polygons, nodata=nodata))
        except SourceError:
            bands.refuse_missing(open_image(pair))  # which names the key of the config
            raise
    for tile in tiles:
        refuse_other_bands(tiles[0].image, tile.image)
    return tiles


def choose_value_range(
    given: Range | Mapping[str, Range] | None, tiles: Sequence[Tile], bands: Sequence[str]
) -> ValueRange:
    """The value range that a config means: that of uint8 is known, others must be given.

    Args:
        given: of all bands, or of some of them by name.
        tiles: the images.
        bands: names of the bands, in order.

    Returns:
        One range, or that of each band where they differ.

    Raises:
        ConfigError: one is needed and not given, or empty, or of a band that there is not.
    """
    named = given if isinstance(given, Mapping) else dict.fromkeys(bands, given)
    for name, pair in named.items():
        if name not in bands:
            raise ConfigError(
                f"data.value_range: there is no band {name!r}; the bands are {shorten(bands, 20)}"
            )
        if pair is not None and not pair[0] < pair[1]:
            raise ConfigError(
                f"data.value_range: {list(pair)}; the first value must be below the second"
            )
    found = []
    for position, name in enumerate(bands):
        pair = named.get(name)
        if pair is None:
            _refuse_unknown_range(position, name, tiles, several=len(bands) > 1)
        found.append(pair or (0.0, 255.0))
    return shortest(found)


def _refuse_unknown_range(
    position: int, name: str, tiles: Sequence[Tile], *, several: bool
) -> None:
    """Refuse a band whose values are no bytes: nothing says what they may be."""
    for tile in tiles:
        part = next(part for part, positions in tile.image.parts if position in positions)
        if part.dtype != "uint8":
            alone = part is tile.image or not several
            such = "[0, 10000]" if alone else f"{{{name}: [0, 100]}}"
            raise ConfigError(
                f"data.value_range: is missing, and {part.path} is {part.dtype}; give the range "
                f"of its values, such as {such}"
            )


def check_values(tiles: Sequence[Tile], value_range: ValueRange) -> list[str]:
    """Warnings on the values of images, at most so many of them, spread over all.

    Raises:
        SourceError: an image holds values that are no measurements and that it does not declare.
    """
    step = -(-len(tiles) // _LOOKED_AT) or 1
    looks = (check_image(tile.image, value_range, TRAIN) for tile in tiles[::step])
    lines = [line for warnings in looks for line in warnings]
    more = [f"{len(lines) - 1} more images are like this one: {lines[0]}"] if lines[1:] else []
    return more or lines


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
        f"training images differ in ground sampling, from {min(known):.3g} to {max(known):.3g} m "
        "per pixel"
    ]


def _ground_samplings(tiles: Iterable[Tile]) -> list[float]:
    found = (tile.image.ground_sampling for tile in tiles)
    return [sampling for sampling in found if sampling is not None]
